//! Functions that a provider serves for a worker: who is called, and when the work ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::broker::testing::{Worker, broker, json, until, with_provider};
use crate::broker::{Broker, Request};
use crate::provider::{Handler, Provider};
use iii_wire::protocol::{ErrorBody, HttpInvocation, Message, RegisterFunction};

/// Serves calls that never end, but for those with the data `"panic"`. It counts those under way.
#[derive(Default)]
struct Endless {
    under_way: Arc<AtomicUsize>,
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Provider for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn description(&self) -> &'static str {
        "Serves for ever."
    }

    fn external(&self, _: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        let under_way = self.under_way.clone();
        let handler: Handler = Arc::new(move |call| {
            assert_ne!(call.data.as_str(), r#""panic""#);
            under_way.fetch_add(1, Ordering::SeqCst);
            let place = Place(under_way.clone());
            Box::pin(async move {
                let _place = place;
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

async fn under_way(endless: &Endless, count: usize) {
    until("under way", || endless.under_way.load(Ordering::SeqCst) == count).await;
}

#[tokio::test]
async fn the_work_ends_when_its_worker_leaves() {
    let (_broker, endless, owner, mut caller) = setup().await;
    let id = caller.start("ext::f", "{}");
    under_way(&endless, 1).await;
    drop(owner);
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    under_way(&endless, 0).await;
}

#[tokio::test]
async fn the_work_ends_when_nobody_waits_for_it() {
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
    under_way(&endless, 2).await;
    drop(answer);
    under_way(&endless, 1).await;
    drop(caller);
    under_way(&endless, 0).await;
    owner.nothing_else().await;
}

#[tokio::test]
async fn a_panic_is_an_answer_and_removal_takes_effect() {
    let (_broker, endless, mut owner, mut caller) = setup().await;
    assert_eq!(caller.call("ext::f", r#""panic""#).await.unwrap_err().code, "panic");
    owner.send(Message::UnregisterFunction { id: "ext::f".into() });
    owner.nothing_else().await;
    assert_eq!(caller.call("ext::f", "{}").await.unwrap_err().code, "function_not_found");
    under_way(&endless, 0).await;
}
