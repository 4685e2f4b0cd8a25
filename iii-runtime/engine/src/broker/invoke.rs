//! Calls on their way: who serves them, how they reach the callee, how the answer comes back (protocol section 4).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::calls::{Answer, Asker, Ticket, Waiting, stopped};
use super::connection::{Connection, too_large};
use super::counters::Counters;
use super::external::run_for;
use super::functions::ENQUEUE;
use super::registry::{Function, Target};
use super::workers::ANNOUNCE;
use super::{Broker, trace};
use crate::provider::overloaded;
use crate::provider::{Binding, Call, Handler, Outcome};
use iii_wire::code;
use iii_wire::protocol::{
    Action, DEFAULT_NAMESPACE, ErrorBody, FunctionId, InvocationId, InvocationResult,
    InvokeFunction, Message, Namespace, Payload, WorkerId, without_caller,
};
use iii_wire::transport::{Outbox, SendError};

/// A call that the engine makes.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The namespace of the function.
    pub(crate) namespace: Namespace,
    /// The function.
    pub(crate) function_id: FunctionId,
    /// The input.
    pub(crate) data: Payload,
    /// Side data of the call.
    pub(crate) metadata: Option<Payload>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// W3C baggage.
    pub(crate) baggage: Option<String>,
}

impl Request {
    /// The call that a binding makes when it fires: its function, with its metadata.
    pub(crate) fn fired(binding: &Binding, data: Payload) -> Self {
        Self {
            namespace: binding.namespace.clone(),
            function_id: binding.function_id.clone(),
            data,
            metadata: binding.metadata.clone(),
            traceparent: None,
            baggage: None,
        }
    }

    /// A call of another function in the namespace of a binding's target, such as its condition.
    pub(crate) fn beside(binding: &Binding, function_id: &FunctionId, data: Payload) -> Self {
        Self { function_id: function_id.clone(), metadata: None, ..Self::fired(binding, data) }
    }
}

impl Broker {
    /// Makes a call. It is on its way when this returns; dropping the answer forgets it.
    pub(crate) fn invoke(&self, request: Request) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let sent = self.forward(request, None, Asker::Engine(sender));
        let place = sent.map(|sent| (Arc::downgrade(&sent.callee), sent.id));
        Answer::new(receiver, place)
    }

    /// Makes a call for whose answer nobody waits. An error is logged.
    pub(crate) fn fire(&self, request: Request) {
        let asker = Asker::Log(request.function_id.clone());
        self.forward(request, None, asker);
    }

    /// Handles a worker's call. Gives back the queue of a callee that is behind.
    pub(super) fn invoked(&self, caller: &Arc<Connection>, m: InvokeFunction) -> Option<Outbox> {
        let id = m.invocation_id.filter(|_| m.action != Some(Action::Void));
        let Some(ticket) = Ticket::new(caller) else {
            too_many(caller, id, m.function_id);
            return None;
        };
        let asker = match id {
            None => Asker::Nobody(ticket),
            Some(invocation_id) => Asker::Worker {
                ticket,
                invocation_id,
                function_id: m.function_id.clone(),
                traceparent: m.traceparent.clone(),
                baggage: m.baggage.clone(),
            },
        };
        let namespace = match m.namespace {
            Some(namespace) if namespace.trim().is_empty() => {
                asker.answer(Err(blank("namespace")));
                return None;
            }
            namespace => namespace.unwrap_or_default(),
        };
        if m.function_id == ANNOUNCE {
            let outcome = self.announce(caller, &m.data, asker.wants_answer());
            asker.answer(outcome);
            return None;
        }
        let request = Request {
            namespace,
            function_id: m.function_id,
            data: m.data,
            metadata: m.metadata,
            traceparent: m.traceparent,
            baggage: m.baggage,
        };
        let sent = match (&caller.gated, m.action) {
            (Some(gated), action) => self.pass(&*gated.gate, caller.id, request, action, asker),
            (None, Some(Action::Enqueue { queue })) => {
                self.enqueue(&queue, request, caller.id, asker)
            }
            (None, None | Some(Action::Void)) => self.forward(request, Some(caller.id), asker),
        };
        let Sent { callee, is_queued, .. } = sent?;
        if caller.is_gone() {
            // It was ended by another task while its call was noted.
            callee.pending.forget(caller.id);
        }
        if is_queued { callee.brake() } else { None }
    }

    /// Handles a worker's answer. Only the callee's own calls can be answered by it.
    pub(super) fn answered(&self, callee: &Arc<Connection>, m: InvocationResult) {
        // An unknown id is a void call, or one that nobody waits for any more.
        if let Some(Waiting { asker, since, .. }) = callee.pending.take(m.invocation_id) {
            self.inner.counters.ended(since, m.result.is_ok());
            let outcome = m.result.map(|result| result.filter(|result| !result.is_null()));
            asker.answer(outcome);
        }
    }

    /// Turns a call into a call of whoever keeps the queues (protocol section 4.5).
    pub(super) fn enqueue(
        &self,
        queue: &str,
        request: Request,
        caller: WorkerId,
        asker: Asker,
    ) -> Option<Sent> {
        let receipt = Uuid::new_v4();
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        let baggage = trace::baggage_for(
            &request.function_id,
            request.traceparent.as_deref(),
            request.baggage.as_deref(),
        );
        let mut data = format!(
            r#"{{"queue":{},"function_id":{},"data":{},"messageReceiptId":"{receipt}","traceparent":{},"baggage":{}"#,
            quoted(queue),
            quoted(&request.function_id),
            request.data.as_str(),
            optional(request.traceparent.as_deref()),
            optional(baggage.as_deref()),
        );
        if request.namespace != DEFAULT_NAMESPACE {
            data.push_str(&format!(r#","namespace":{}"#, quoted(&request.namespace)));
        }
        if let Some(metadata) = &request.metadata {
            data.push_str(&format!(r#","metadata":{}"#, metadata.as_str()));
        }
        data.push('}');
        let asker = Asker::Receipt { receipt, then: Box::new(asker) };
        let call = Request {
            namespace: Namespace::default(),
            function_id: ENQUEUE.into(),
            data: Payload::from_built(data),
            metadata: None,
            traceparent: request.traceparent,
            baggage: request.baggage,
        };
        // Queues of the engine take what a worker sends in its order; a worker that keeps queues is not told who calls.
        let caller = match self.find(&call.namespace, &call.function_id) {
            Ok(function) if function.owner().is_none() => Some(caller),
            _ => None,
        };
        self.forward(call, caller, asker)
    }

    /// Sends a call to whoever serves it. Where it was sent, if a worker does.
    pub(super) fn forward(
        &self,
        request: Request,
        caller: Option<WorkerId>,
        asker: Asker,
    ) -> Option<Sent> {
        match self.find(&request.namespace, &request.function_id) {
            Ok(function) => {
                #[cfg(feature = "testing")]
                if let (Target::BuiltIn { .. }, Some(seen)) =
                    (&function.target, self.inner.built_in_observer.get())
                {
                    seen(&request.function_id, &request.data);
                }
                deliver(&self.inner.counters, &function, request, caller, asker)
            }
            Err(error) => {
                self.inner.counters.refused();
                asker.answer(Err(error));
                None
            }
        }
    }

    /// The function, or the error that says where else it is.
    fn find(&self, namespace: &Namespace, id: &FunctionId) -> Result<Arc<Function>, ErrorBody> {
        let registry = self.registry();
        if let Some(function) = registry.function(namespace, id) {
            return Ok(function.clone());
        }
        let elsewhere = registry.namespaces_of(id);
        let hint = if elsewhere.is_empty() {
            String::new()
        } else {
            let names: Vec<&str> = elsewhere.iter().map(|one| one.as_str()).collect();
            format!("; it is registered in: {}", names.join(", "))
        };
        Err(ErrorBody::new(
            code::FUNCTION_NOT_FOUND,
            format!("there is no function `{id}` in the namespace `{namespace}`{hint}"),
        ))
    }
}

/// A call that is noted at a worker.
pub(super) struct Sent {
    /// The worker.
    pub(super) callee: Arc<Connection>,
    /// Its id there.
    pub(super) id: InvocationId,
    /// Whether it was sent to the worker, and not served in its name.
    pub(super) is_queued: bool,
}

/// Gives a call to a function. Where it was noted, if a worker owns the function.
pub(super) fn deliver(
    counters: &Arc<Counters>,
    function: &Function,
    request: Request,
    caller: Option<WorkerId>,
    asker: Asker,
) -> Option<Sent> {
    counters.began(function);
    match &function.target {
        Target::BuiltIn { handler, .. } => {
            run(counters, handler, request, caller, asker);
            None
        }
        Target::External { owner, code } => {
            run_for(counters, owner, &code.handler, request, caller, asker)
        }
        Target::Worker(callee) => send(counters, callee, function, request, caller, asker),
    }
}

/// Sends a call to a worker. It is noted before it is sent, so that no answer can come too early.
fn send(
    counters: &Counters,
    callee: &Arc<Connection>,
    function: &Function,
    request: Request,
    caller: Option<WorkerId>,
    asker: Asker,
) -> Option<Sent> {
    let waits = asker.wants_answer();
    let id = if waits {
        let Some(id) = callee.pending.insert(asker, callee.limits.workers.serving) else {
            counters.ended(Instant::now(), false);
            return None;
        };
        id
    } else {
        InvocationId::random()
    };
    let baggage = trace::baggage_for(
        &request.function_id,
        request.traceparent.as_deref(),
        request.baggage.as_deref(),
    );
    let size = request.data.as_str().len();
    // What a worker publishes, for example, may hold the key that names a caller. Of a worker's own call it is gone already.
    let data = if caller.is_some() { request.data } else { without_caller(request.data) };
    let sent = callee.try_send(Message::InvokeFunction(Box::new(InvokeFunction {
        invocation_id: Some(id),
        function_id: function.known_as().clone(),
        data,
        caller,
        traceparent: request.traceparent,
        baggage,
        action: None,
        metadata: request.metadata,
        namespace: None,
    })));
    let error = match sent {
        Ok(()) => return Some(Sent { callee: callee.clone(), id, is_queued: true }),
        Err(SendError::Closed) => stopped(),
        Err(SendError::Full) => {
            let id = &function.id;
            overloaded(format!("the worker that serves `{id}` is too far behind"))
        }
        Err(SendError::TooLarge) => too_large("the call", size, &callee.limits),
    };
    // Nobody is there to answer any more if the callee's end took the call out meanwhile.
    if waits && let Some(Waiting { asker, since, .. }) = callee.pending.take(id) {
        counters.ended(since, false);
        asker.answer(Err(error));
    }
    None
}

/// Runs code of the engine.
///
/// Called by a worker, code that need not wait is done when this returns, so that the calls of one worker take effect in
/// their order; the rest goes on as a task. What the engine itself calls is always a task: a trigger whose target is
/// built in, and fires again, must not nest.
fn run(
    counters: &Arc<Counters>,
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
    asker: Asker,
) {
    let (counters, since) = (counters.clone(), Instant::now());
    let finish = move |outcome: Outcome, asker: Asker| {
        counters.ended(since, outcome.is_ok());
        asker.answer(outcome);
    };
    let mut work = work(handler, request, caller);
    let done = if caller.is_some() { (&mut work).now_or_never() } else { None };
    match done {
        Some(outcome) => finish(outcome, asker),
        // While the program ends there is no runtime, and nobody to answer.
        None => match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { finish(work.await, asker) })),
            Err(_) => asker.answer(Err(stopped())),
        },
    }
}

/// A call of code of the engine. A panic is an answer like any other.
pub(super) fn work(
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
) -> BoxFuture<'static, Outcome> {
    let handler = handler.clone();
    let id = request.function_id;
    let call = Call {
        data: request.data,
        caller,
        traceparent: request.traceparent,
        baggage: request.baggage,
    };
    // The code is entered inside the future, so that a panic on the way in is caught as well.
    let work = AssertUnwindSafe(async move { handler(call).await }).catch_unwind();
    work.map(move |done| {
        done.unwrap_or_else(|_| {
            tracing::error!(function = %id, "a built-in function panicked");
            Err(ErrorBody::new(code::PANIC, format!("`{id}` panicked")))
        })
    })
    .boxed()
}

/// Tells a worker that it has too many calls open.
fn too_many(caller: &Connection, invocation_id: Option<InvocationId>, function_id: FunctionId) {
    let message = "too many calls of this connection wait for an answer";
    let Some(invocation_id) = invocation_id else {
        return tracing::warn!(worker = %caller.id, function = %function_id, "a void call was dropped: {message}");
    };
    caller.answer(InvocationResult {
        invocation_id,
        function_id,
        result: Err(overloaded(message)),
        traceparent: None,
        baggage: None,
    });
}

/// The error for a namespace that is named but empty.
pub(super) fn blank(field: &str) -> ErrorBody {
    ErrorBody::new(code::INVALID_NAMESPACE, format!("the field `{field}` must not be blank"))
}
