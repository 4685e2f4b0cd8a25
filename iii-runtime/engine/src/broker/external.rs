//! Functions that a provider serves on behalf of the worker that registered them, such as HTTP functions ([protocol 4.8](iii_wire::protocol#s4-8)).

use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use tokio::time::Instant;

use super::calls::{PendingCall, ReplyTo, stopped};
use super::connection::WorkerConnection;
use super::counters::Counters;
use super::invoke::{DispatchedCall, Request, call_handler};
use super::{Broker, trace};
use crate::provider::Handler;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, RegisterFunction, WorkerId};
use iii_wire::sync::read;

impl Broker {
    /// Returns the code of such a function. If no provider can serve it, each call fails with the reason: SDKs stop on
    /// the rejection of a registration, except for a taken id ([protocol 3.8](iii_wire::protocol#s3-8)). Workers of this project query the
    /// reason at startup, and fail.
    pub(super) fn external(&self, m: &RegisterFunction) -> ExternalFunction {
        let providers = read(&self.inner.providers).clone();
        let served = providers.iter().find_map(|provider| provider.external_handler(m));
        let error = match served {
            Some(Ok(handler)) => return ExternalFunction { handler, unusable: None },
            Some(Err(error)) => error,
            None => ErrorBody::new(
                code::HTTP_FUNCTIONS_UNAVAILABLE,
                format!("`{}` is an HTTP function, which this engine does not serve", m.id),
            ),
        };
        tracing::warn!(function = %m.id, "the function cannot be called: {error}");
        let unusable = Some(error.clone());
        let handler: Handler = Arc::new(move |_| Box::pin(std::future::ready(Err(error.clone()))));
        ExternalFunction { handler, unusable }
    }
}

/// The code of a function that a provider serves.
pub(crate) struct ExternalFunction {
    pub(super) handler: Handler,
    /// Why every call fails, if it does.
    pub(super) unusable: Option<ErrorBody>,
}

/// Aborts the task of a call when dropped.
pub(crate) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call on behalf of the worker that owns the function. It is pending at that worker like one that it serves
/// itself, so that it ends when the worker disconnects or the caller cancels it.
pub(super) fn run_on_behalf(
    counters: &Arc<Counters>,
    owner: &Arc<WorkerConnection>,
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
    reply_to: ReplyTo,
) -> Option<DispatchedCall> {
    // During the exit of the process there is no runtime, and nobody waits.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        reply_to.answer(Err(stopped()));
        return None;
    };
    let baggage = trace::baggage_for(
        &request.function_id,
        request.traceparent.as_deref(),
        request.baggage.as_deref(),
    );
    let work = call_handler(handler, Request { baggage, ..request }, caller);
    if !reply_to.wants_answer() {
        // A void call holds its permit until it has run.
        runtime.spawn(async move { reply_to.answer(work.await) });
        return None;
    }
    let (abort, registration) = AbortHandle::new_pair();
    let reply_to = ReplyTo::Task { then: Box::new(reply_to), _task: AbortOnDrop(abort) };
    let Some(id) = owner.pending.insert(reply_to, owner.limits.workers.serving) else {
        counters.completed(Instant::now(), false);
        return None;
    };
    let (noted, counters) = (owner.clone(), counters.clone());
    runtime.spawn(async move {
        if let Ok(outcome) = Abortable::new(work, registration).await
            && let Some(PendingCall { reply_to, since, .. }) = noted.pending.take(id)
        {
            counters.completed(since, outcome.is_ok());
            reply_to.answer(outcome);
        }
    });
    Some(DispatchedCall { callee: owner.clone(), id, is_queued: false })
}
