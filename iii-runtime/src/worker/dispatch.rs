//! Dispatches invocations to handlers: each in a task of its own, limited, and answered exactly once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use iii_wire::protocol::{FunctionId, InvokeFunction, WorkerId};
use iii_wire::transport::Outbox;
use iii_wire::{Error, code};
use tokio::sync::{Semaphore, watch};

use super::in_flight::{InFlightCount, InFlightGuard};
use super::invoke::{self, Environment};
use super::reply_to::ReplyTo;
use crate::catalogue::{Catalogue, CatalogueEntry};
use crate::extract::{Invocation, Resources};
use crate::function::RequestParts;
use crate::intercept::AnyInterceptor;
use crate::output::HandlerFuture;

/// The limits of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DispatchLimits {
    /// Invocations that run or wait. Further ones fail with `overloaded`.
    pub max_in_flight: usize,
    /// Handlers that run at the same time. Further invocations wait.
    pub concurrency: usize,
    /// How long a handler may take, where its declaration does not limit it.
    pub handler_timeout: Option<Duration>,
}

/// Dispatches invocations to handlers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    functions: HashMap<FunctionId, Arc<ServedFunction>>,
    environment: Arc<Environment>,
    /// The handlers that may run at the same time.
    running: Arc<Semaphore>,
    max_in_flight: usize,
    in_flight: Arc<InFlightCount>,
    /// Set when the grace period of a drain is over.
    aborted: watch::Sender<bool>,
}

/// A function that the worker serves.
#[derive(Debug)]
pub(super) struct ServedFunction {
    pub(super) handler: fn(Invocation) -> HandlerFuture,
    pub(super) request_parts: RequestParts,
    pub(super) timeout: Option<Duration>,
    /// The runs that may go on at the same time.
    pub(super) running: Option<Arc<Semaphore>>,
    /// The outermost first.
    pub(super) interceptors: Arc<[AnyInterceptor]>,
    /// Whether the limits of the worker do not apply to it.
    pub(super) unlimited: bool,
}

impl Dispatcher {
    pub(crate) fn new(
        catalogue: &Catalogue,
        limits: DispatchLimits,
        environment: Environment,
    ) -> Self {
        let functions = catalogue.entries().iter().map(|entry| {
            let served = ServedFunction::of(entry, limits.handler_timeout);
            (FunctionId::from(entry.function.id), Arc::new(served))
        });
        Self {
            functions: functions.collect(),
            environment: Arc::new(environment),
            running: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            max_in_flight: limits.max_in_flight,
            in_flight: Arc::default(),
            aborted: watch::Sender::new(false),
        }
    }

    /// The values that the app provides to functions.
    pub(crate) fn resources(&self) -> &Resources {
        &self.environment.resources
    }

    /// Serves a function of the worker itself, which no declaration names. The limits of the worker do not apply to it.
    pub(crate) fn serve(&mut self, id: FunctionId, handler: fn(Invocation) -> HandlerFuture) {
        let served = ServedFunction { handler, unlimited: true, ..ServedFunction::undeclared() };
        self.functions.insert(id, Arc::new(served));
    }

    /// Runs an invocation, and answers over the connection that it came from. Returns at once.
    pub(super) fn dispatch(&self, message: Box<InvokeFunction>, outbox: &Outbox) {
        let reply_to = ReplyTo::new(&message, outbox);
        let Some(served) = self.served(&message.function_id) else {
            return reply_to.send(Err(not_served(&message.function_id)));
        };
        if !served.unlimited && self.in_flight() >= self.max_in_flight {
            let text = format!("this worker has {} invocations waiting", self.max_in_flight);
            return reply_to.send(Err(Error::new(code::OVERLOADED, text).with_retryable(true)));
        }
        let in_flight = InFlightGuard::new(self.in_flight.clone());
        let mut aborted = self.aborted.subscribe();
        let running = invoke::run(message, served, self.environment.clone(), self.running.clone());
        tokio::spawn(async move {
            let _in_flight = in_flight;
            let result = tokio::select! {
                // Most handlers complete at the first poll: then the wait for an abort is never set up.
                biased;
                result = running => result,
                _ = aborted.wait_for(|aborted| *aborted) => {
                    let text = "the worker stopped before the function was done";
                    Err(Error::new(code::SHUTTING_DOWN, text).with_retryable(true))
                }
            };
            reply_to.send(result);
        });
    }

    /// The function that is served under an id: a declared one, or one that the test harness stands in for.
    fn served(&self, id: &FunctionId) -> Option<Arc<ServedFunction>> {
        self.functions.get(id).cloned().or_else(|| {
            let watch = self.environment.watch.as_ref()?;
            watch.serves(id).then(|| Arc::new(ServedFunction::undeclared()))
        })
    }

    /// The worker is connected; the engine knows it by this id.
    pub(super) fn connected(&self, worker: WorkerId) {
        self.environment.telemetry.connected(worker);
    }

    /// Waits until every invocation is answered.
    pub(super) async fn drained(&self) {
        self.in_flight.zero().await;
    }

    /// The number of invocations that are not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Answers every invocation that is not answered yet with `shutting_down`.
    pub(super) fn abort(&self) {
        self.aborted.send_replace(true);
    }
}

impl ServedFunction {
    fn of(entry: &CatalogueEntry, handler_timeout: Option<Duration>) -> Self {
        let function = entry.function;
        Self {
            handler: function.handler,
            request_parts: entry.signature.request_parts(),
            timeout: function.timeout.or(handler_timeout),
            running: function.concurrency.map(|most| Arc::new(Semaphore::new(most))),
            interceptors: entry.interceptors.as_slice().into(),
            unlimited: false,
        }
    }

    /// A function without a declaration in this worker.
    fn undeclared() -> Self {
        let handler = |call: Invocation| -> HandlerFuture {
            let error = not_served(call.context().function_id());
            Box::pin(async move { Err(error) })
        };
        let interceptors = Arc::default();
        Self {
            handler,
            request_parts: RequestParts::NONE,
            timeout: None,
            running: None,
            interceptors,
            unlimited: false,
        }
    }
}

fn not_served(function_id: &FunctionId) -> Error {
    let text = format!("this worker does not serve `{function_id}`");
    Error::new(code::FUNCTION_NOT_FOUND, text)
}
