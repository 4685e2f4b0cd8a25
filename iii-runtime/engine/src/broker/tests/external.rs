//! Functions that a provider serves on behalf of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::broker::testing::{Worker, broker, json, until, with_provider};
use crate::broker::{Broker, Request};
use crate::provider::{Handler, Provider};
use iii_wire::protocol::{ErrorBody, HttpInvocation, Message, RegisterFunction};

/// Serves calls that never complete, except for the data `"panic"`, and counts those in flight.
#[derive(Default)]
struct Endless {
    in_flight: Arc<AtomicUsize>,
}

struct InFlightGuard(Arc<AtomicUsize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Provider for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn description(&self) -> &'static str {
        "Never completes."
    }

    fn external_handler(&self, _: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        let in_flight = self.in_flight.clone();
        let handler: Handler = Arc::new(move |call| {
            assert_ne!(call.data.as_str(), r#""panic""#);
            in_flight.fetch_add(1, Ordering::SeqCst);
            let guard = InFlightGuard(in_flight.clone());
            Box::pin(async move {
                let _guard = guard;
                std::future::pending().await
            })
        });
        Some(Ok(handler))
    }
}

async fn setup() -> (Broker, Arc<Endless>, Worker, Worker) {
    let broker = broker();
    let endless = with_provider(&broker, Endless::default());
    let mut owner = Worker::named(&broker, "owner").await;
    owner.send(Message::RegisterFunction(Box::new(RegisterFunction {
        id: "ext::f".into(),
        description: None,
        request_format: None,
        response_format: None,
        metadata: None,
        invocation: Some(HttpInvocation(json("{}"))),
    })));
    owner.nothing_else().await;
    let caller = Worker::named(&broker, "caller").await;
    (broker, endless, owner, caller)
}

async fn in_flight(endless: &Endless, count: usize) {
    until("in flight", || endless.in_flight.load(Ordering::SeqCst) == count).await;
}

#[tokio::test]
async fn call_is_aborted_when_its_worker_disconnects() {
    let (_broker, endless, owner, mut caller) = setup().await;
    let id = caller.start("ext::f", "{}");
    in_flight(&endless, 1).await;
    drop(owner);
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    in_flight(&endless, 0).await;
}

#[tokio::test]
async fn call_is_aborted_when_its_result_is_not_awaited() {
    let (broker, endless, mut owner, caller) = setup().await;
    caller.start("ext::f", "{}");
    let request = Request {
        namespace: "default".into(),
        function_id: "ext::f".into(),
        data: json("{}"),
        metadata: None,
        traceparent: None,
        baggage: None,
    };
    let answer = broker.invoke(request);
    in_flight(&endless, 2).await;
    drop(answer);
    in_flight(&endless, 1).await;
    drop(caller);
    in_flight(&endless, 0).await;
    owner.nothing_else().await;
}

#[tokio::test]
async fn panic_becomes_an_error_and_unregistration_takes_effect() {
    let (_broker, endless, mut owner, mut caller) = setup().await;
    assert_eq!(caller.call("ext::f", r#""panic""#).await.unwrap_err().code, "panic");
    owner.send(Message::UnregisterFunction { id: "ext::f".into() });
    owner.nothing_else().await;
    assert_eq!(caller.call("ext::f", "{}").await.unwrap_err().code, "function_not_found");
    in_flight(&endless, 0).await;
}
