//! Invocations to handlers: each in a task of its own, limited, timed, and answered exactly once, whatever happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::session::after;
use super::watch::{Begun, Ended, Watch, Watched};
use crate::clock::Clock;
use crate::declare::{Catalogue, HandlerFuture, Shape};
use crate::error::{Error, Result, code};
use crate::extract::{Caller, Context, Invocation, Mark, Received, Resources, Trace};
use crate::intercept::{AnyInterceptor, Handler, Next, Room};
use crate::output::{self, Reply, error_into_http};
use crate::protocol::{
    ErrorBody, FunctionId, InvocationId, InvocationResult, InvokeFunction, Message, Payload,
    WorkerId,
};
use crate::telemetry::{Begun as Seen, Outcome, Telemetry};
use crate::transport::{Outbox, SendError};

/// How much may go on at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DispatchLimits {
    /// Invocations that run or wait, of the worker. More are refused with `overloaded`.
    pub accepted: usize,
    /// Handlers that run, of the worker. More wait.
    pub running: usize,
    /// How long a handler may take, where its function does not say.
    pub handler_timeout: Option<Duration>,
}

/// Gives invocations to handlers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    functions: HashMap<FunctionId, Arc<Served>>,
    resources: Arc<Resources>,
    clock: Clock,
    watch: Option<Arc<dyn Watch>>,
    telemetry: Telemetry,
    accepted: usize,
    running: Arc<Semaphore>,
    in_flight: Arc<Count>,
    /// Set when the grace period of a drain is over.
    aborted: watch::Sender<bool>,
}

/// A function as it is served.
#[derive(Debug)]
struct Served {
    handler: fn(Invocation) -> HandlerFuture,
    shape: Shape,
    timeout: Option<Duration>,
    running: Option<Arc<Semaphore>>,
    /// The outermost first.
    interceptors: Arc<[AnyInterceptor]>,
    /// Whether it is served beside the limits of the worker.
    beside: bool,
}

impl Dispatcher {
    pub(crate) fn new(
        catalogue: &Catalogue,
        resources: Arc<Resources>,
        limits: DispatchLimits,
        clock: Clock,
        watch: Option<Arc<dyn Watch>>,
        telemetry: Telemetry,
    ) -> Self {
        let functions = catalogue.entries().iter().map(|entry| {
            let function = entry.function;
            let served = Served {
                handler: function.handler,
                shape: entry.signature.shape(),
                timeout: function.timeout.or(limits.handler_timeout),
                running: function.concurrency.map(|most| Arc::new(Semaphore::new(most))),
                interceptors: entry.interceptors.as_slice().into(),
                beside: false,
            };
            (FunctionId::from(function.id), Arc::new(served))
        });
        Self {
            functions: functions.collect(),
            resources,
            clock,
            watch,
            telemetry,
            accepted: limits.accepted,
            running: Arc::new(Semaphore::new(limits.running.min(Semaphore::MAX_PERMITS))),
            in_flight: Arc::default(),
            aborted: watch::Sender::new(false),
        }
    }

    /// What functions take from around the payload.
    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Serves a function that the worker itself needs, and nobody has declared. A worker that is busy runs it as well.
    pub(crate) fn serve(&mut self, id: FunctionId, handler: fn(Invocation) -> HandlerFuture) {
        self.functions
            .insert(id, Arc::new(Served { handler, beside: true, ..Served::elsewhere() }));
    }

    /// Runs an invocation, and answers over the link that it came from. Returns at once.
    pub(super) fn dispatch(&self, message: Box<InvokeFunction>, outbox: &Outbox) {
        let InvokeFunction { invocation_id, function_id, .. } = &*message;
        let answering = Answering {
            outbox: outbox.clone(),
            invocation_id: *invocation_id,
            function_id: function_id.clone(),
            trace: Trace {
                traceparent: message.traceparent.clone(),
                baggage: message.baggage.clone(),
            },
        };
        let served = self.functions.get(function_id).cloned().or_else(|| {
            let watch = self.watch.as_ref()?;
            watch.serves(function_id).then(|| Arc::new(Served::elsewhere()))
        });
        let Some(served) = served else { return answering.answer(Err(not_served(function_id))) };
        if !served.beside && self.in_flight() >= self.accepted {
            let text = format!("this worker has {} invocations waiting", self.accepted);
            return answering.answer(Err(Error::new(code::OVERLOADED, text).with_retryable(true)));
        }
        let in_flight = InFlight::new(self.in_flight.clone());
        let running = self.running.clone();
        let mut aborted = self.aborted.subscribe();
        let invocation = Invoked {
            message,
            served,
            resources: self.resources.clone(),
            clock: self.clock.clone(),
            watch: self.watch.clone(),
            telemetry: self.telemetry.clone(),
        };
        tokio::spawn(async move {
            let _in_flight = in_flight;
            let result = tokio::select! {
                // Most handlers are done at once: then nobody has to watch for an end.
                biased;
                result = invocation.run(running) => result,
                _ = aborted.wait_for(|aborted| *aborted) => {
                    let text = "the worker stopped before the function was done";
                    Err(Error::new(code::SHUTTING_DOWN, text).with_retryable(true))
                }
            };
            answering.answer(result);
        });
    }

    /// The worker has a connection, which the engine knows by this id.
    pub(super) fn connected(&self, worker: WorkerId) {
        self.telemetry.connected(worker);
    }

    /// Waits until every invocation is answered.
    pub(super) async fn drained(&self) {
        self.in_flight.none().await;
    }

    /// How many invocations are not yet answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.now.load(Ordering::Acquire)
    }

    /// Answers whatever is not yet answered with `shutting_down`.
    pub(super) fn abort(&self) {
        self.aborted.send_replace(true);
    }
}

impl Served {
    /// A function that is declared elsewhere, which only a watch can stand in for.
    fn elsewhere() -> Self {
        let handler = |call: Invocation| -> HandlerFuture {
            let error = not_served(call.context().function_id());
            Box::pin(async move { Err(error) })
        };
        let interceptors = Arc::default();
        Self {
            handler,
            shape: Shape::NONE,
            timeout: None,
            running: None,
            interceptors,
            beside: false,
        }
    }
}

fn not_served(function_id: &FunctionId) -> Error {
    let text = format!("this worker does not serve `{function_id}`");
    Error::new(code::FUNCTION_NOT_FOUND, text)
}

/// One invocation and what it runs on.
struct Invoked {
    // In a box, as a task is moved several times before it runs.
    message: Box<InvokeFunction>,
    served: Arc<Served>,
    resources: Arc<Resources>,
    clock: Clock,
    watch: Option<Arc<dyn Watch>>,
    telemetry: Telemetry,
}

impl Invoked {
    /// Runs the handler when there is room for it. What comes back is what is sent.
    async fn run(self, running: Arc<Semaphore>) -> Result<Option<Payload>> {
        let Self { message, served, resources, clock, watch, telemetry } = self;
        let room = match served.beside {
            true => None,
            false => Some(Room::enter(served.running.clone(), running).await?),
        };

        let message = *message;
        let function_id = message.function_id;
        let invocation_id = message.invocation_id.unwrap_or_else(InvocationId::random);
        let unmarked = Mark::read(message.metadata);
        let context = Context {
            function_id,
            invocation_id,
            trigger: unmarked.trigger,
            caller: message.caller.map(|worker_id| Caller { worker_id }),
            attempt: unmarked.attempt,
            deadline: served.timeout.map(after),
            trace: Trace { traceparent: message.traceparent, baggage: message.baggage },
            clock,
        };
        let seen = telemetry.begin(&context, &message.data);
        let watched = watch.map(|watch| {
            let (data, metadata) = (&message.data, unmarked.value.as_ref());
            watch.begin(Begun { context: &context, data, metadata, shape: served.shape })
        });
        let data = message.data;
        // In a box as well: each future around the handler has room for what the handler takes.
        let mut invocation = Box::new(Invocation::new(Received {
            context,
            data: data.clone(),
            metadata: unmarked.value,
            shape: served.shape,
            resources: resources.clone(),
        }));
        let over_http = invocation.is_http_trigger();
        invocation.limited_by(served.timeout);
        let handler = served.handler;
        let (handler, ended) = match watched {
            None => (Handler::Declared(handler), None),
            Some(Watched { plan, ended }) => {
                let planned = move |call: Invocation| -> HandlerFuture {
                    Box::pin(async move { plan(&call).run(handler, call).await })
                };
                (Handler::other(planned), Some(ended))
            }
        };
        // The room is taken until the result is written, also by a stream.
        let (next, flow) = Next::new(served.interceptors.clone(), handler, room);
        let result = seen.run(next.go(invocation)).await;
        if let Some(ended) = ended {
            ended(Ended { result: &result, panic: flow.take_panic().as_deref() });
        }
        // A stream may go on for longer than the handler may take.
        let result = match result {
            Ok(reply) => seen.run(output::write(reply, &data, &resources)).await,
            Err(error) => Err(error),
        };
        let result = result.map_err(|error| without_inside(error, invocation_id, &seen));
        match &result {
            Ok(reply) => seen.end(Outcome::Ok(reply)),
            Err(error) => seen.end(Outcome::Failed(error)),
        }
        Ok(if over_http {
            result.map_or_else(|error| Some(error_into_http(&error)), Reply::into_http)
        } else {
            result?.result()
        })
    }
}

/// Logs the cause of an unexpected error once, and gives callers the id to look for.
fn without_inside(error: Error, id: InvocationId, seen: &Seen) -> Error {
    if error.code() != code::INTERNAL {
        return error;
    }
    let mut causes = String::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        causes.push_str(": ");
        causes.push_str(&next.to_string());
        cause = next.source();
    }
    seen.log(|| tracing::error!("{}{causes}", error.message()));
    let text = format!("{}; the log of the worker has more under {id}", error.message());
    error.without_inside(text)
}

/// Where an answer goes.
struct Answering {
    outbox: Outbox,
    invocation_id: Option<InvocationId>,
    function_id: FunctionId,
    trace: Trace,
}

impl Answering {
    fn answer(self, result: Result<Option<Payload>>) {
        let Some(invocation_id) = self.invocation_id else { return };
        let message = InvocationResult {
            invocation_id,
            function_id: self.function_id,
            result: result.map_err(|error| error.to_body()),
            traceparent: self.trace.traceparent,
            baggage: self.trace.baggage,
        };
        let function_id = message.function_id.clone();
        let mut sent = self.outbox.send(Message::InvocationResult(Box::new(message)));
        if sent == Err(SendError::TooLarge) {
            let text =
                "the output is larger than a message may be: return less, or write it to a channel";
            let error = ErrorBody {
                retryable: Some(false),
                ..ErrorBody::new(code::PAYLOAD_TOO_LARGE, text)
            };
            tracing::error!(function = %function_id, id = %invocation_id, "{text}");
            sent = self.outbox.send(Message::InvocationResult(Box::new(InvocationResult {
                invocation_id,
                function_id: function_id.clone(),
                result: Err(error),
                traceparent: None,
                baggage: None,
            })));
        }
        match sent {
            Ok(()) | Err(SendError::TooLarge) => {}
            Err(SendError::Closed) => tracing::warn!(
                function = %function_id,
                id = %invocation_id,
                "the answer could not be sent: the link it belongs to is gone"
            ),
            Err(SendError::Full) => tracing::error!(
                function = %function_id,
                id = %invocation_id,
                "the answer could not be sent: too much is waiting to be sent to the engine"
            ),
        }
    }
}

/// How many invocations are not yet answered.
#[derive(Debug, Default)]
struct Count {
    now: AtomicUsize,
    none: Notify,
}

impl Count {
    /// Waits until there is none.
    async fn none(&self) {
        loop {
            let none = self.none.notified();
            tokio::pin!(none);
            // Listened for before it is looked at: the last one may end in between.
            none.as_mut().enable();
            if self.now.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// Counts an invocation for as long as it lives.
struct InFlight(Arc<Count>);

impl InFlight {
    fn new(count: Arc<Count>) -> Self {
        count.now.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.now.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
