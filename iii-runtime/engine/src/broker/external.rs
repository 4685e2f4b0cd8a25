//! Functions that a provider serves on behalf of the worker that registered them, such as HTTP functions (protocol
//! section 4.8).

use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use tokio::time::Instant;

use super::calls::{Asker, Waiting, stopped};
use super::connection::Connection;
use super::counters::Counters;
use super::invoke::{Request, Sent, work};
use super::{Broker, trace};
use crate::provider::Handler;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, RegisterFunction, WorkerId};
use iii_wire::sync::read;

impl Broker {
    /// Returns the code of such a function. If no provider can serve it, each call fails with the reason: SDKs stop on
    /// the rejection of a registration, except for a taken id (protocol section 3.8). Workers of this project query the
    /// reason at startup, and fail.
    pub(super) fn external(&self, m: &RegisterFunction) -> External {
        let providers = read(&self.inner.providers).clone();
        let served = providers.iter().find_map(|provider| provider.external_handler(m));
        let error = match served {
            Some(Ok(handler)) => return External { handler, unusable: None },
            Some(Err(error)) => error,
            None => ErrorBody::new(
                code::HTTP_FUNCTIONS_UNAVAILABLE,
                format!("`{}` is an HTTP function, which this engine does not serve", m.id),
            ),
        };
        tracing::warn!(function = %m.id, "the function cannot be called: {error}");
        let unusable = Some(error.clone());
        let handler: Handler = Arc::new(move |_| Box::pin(std::future::ready(Err(error.clone()))));
        External { handler, unusable }
    }
}

/// The code of a function that a provider serves.
pub(crate) struct External {
    pub(super) handler: Handler,
    /// Why every call fails, if it does.
    pub(super) unusable: Option<ErrorBody>,
}

/// Aborts the task of a call when dropped.
pub(crate) struct Work(AbortHandle);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call on behalf of the worker that owns the function. It is pending at that worker like one that it serves
/// itself, so that it ends when the worker disconnects or the caller cancels it.
pub(super) fn run_for(
    counters: &Arc<Counters>,
    owner: &Arc<Connection>,
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
    asker: Asker,
) -> Option<Sent> {
    // During the exit of the process there is no runtime, and nobody waits.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        asker.answer(Err(stopped()));
        return None;
    };
    let baggage = trace::baggage_for(
        &request.function_id,
        request.traceparent.as_deref(),
        request.baggage.as_deref(),
    );
    let work = work(handler, Request { baggage, ..request }, caller);
    if !asker.wants_answer() {
        // A void call holds its permit until it has run.
        runtime.spawn(async move { asker.answer(work.await) });
        return None;
    }
    let (abort, registration) = AbortHandle::new_pair();
    let asker = Asker::Working { then: Box::new(asker), _work: Work(abort) };
    let Some(id) = owner.pending.insert(asker, owner.limits.workers.serving) else {
        counters.completed(Instant::now(), false);
        return None;
    };
    let (noted, counters) = (owner.clone(), counters.clone());
    runtime.spawn(async move {
        if let Ok(outcome) = Abortable::new(work, registration).await
            && let Some(Waiting { asker, since, .. }) = noted.pending.take(id)
        {
            counters.completed(since, outcome.is_ok());
            asker.answer(outcome);
        }
    });
    Some(Sent { callee: owner.clone(), id, is_queued: false })
}
