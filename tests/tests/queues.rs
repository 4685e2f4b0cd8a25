//! Queues between an engine and a worker of ours: retries, the number of the attempt, receipts, dead letters.

use std::sync::{Arc, Mutex};

use iii::engine::Engine;
use iii::prelude::*;
use iii_tests::until;
use serde_json::{Value, json};

/// What was tried: the message, and the number of the attempt.
type Tries = Arc<Mutex<Vec<(u32, Option<u32>)>>>;

#[derive(Debug, iii::Error)]
enum JobError {
    #[error("not yet", code = "jobs/not-yet", retryable = true)]
    NotYet,
    #[error("never", code = "jobs/never", retryable = false)]
    Never,
}

/// Fails until the third attempt; a message above 100 fails for good.
#[iii::function(id = "jobs::work")]
#[iii::trigger(queue, topic = "jobs.wanted", max_retries = 4, backoff = "1ms")]
async fn work(job: u32, context: Context, tries: State<Tries>) -> Result<(), JobError> {
    tries.lock().unwrap().push((job, context.attempt()));
    if job > 100 {
        return Err(JobError::Never);
    }
    if context.attempt().is_some_and(|attempt| attempt < 3) {
        return Err(JobError::NotYet);
    }
    Ok(())
}

#[tokio::test]
async fn a_message_is_tried_until_it_succeeds_or_is_given_up() {
    let engine =
        Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
    let tries = Tries::default();
    let mut app = App::new();
    app.url(format!("ws://{}", engine.worker_addr().unwrap()));
    app.state(tries.clone()).function::<work>();
    let mut running = app.start().await.unwrap();
    assert_eq!(running.waiting().count(), 0, "the engine provides queues");
    let client = running.client();

    let publish = json!({"topic": "jobs.wanted", "data": 7});
    client.call_raw::<()>("iii::durable::publish", &publish).await.unwrap();
    until("the third attempt", || tries.lock().unwrap().len() == 3).await;
    assert_eq!(*tries.lock().unwrap(), [(7, Some(1)), (7, Some(2)), (7, Some(3))]);

    let publish = json!({"topic": "jobs.wanted", "data": 101});
    client.call_raw::<()>("iii::durable::publish", &publish).await.unwrap();
    let dead = loop {
        let of_topic = json!({"topic": "jobs.wanted"});
        let dead: Vec<Value> =
            client.call_raw("engine::queue::dlq_messages", &of_topic).await.unwrap();
        if !dead.is_empty() {
            break dead;
        }
    };
    assert_eq!(dead[0]["payload"], 101);
    assert!(dead[0]["error"].as_str().unwrap().starts_with("jobs/never: "), "{dead:?}");
    let tried = tries.lock().unwrap().iter().filter(|(job, _)| *job == 101).count();
    assert_eq!(tried, 1, "what is not retryable is not tried again");

    // A call through a named queue: the receipt comes when it is stored, the call later.
    let receipt = client.enqueue::<work>("default", 8).await.unwrap();
    assert!(!receipt.message_receipt_id.is_empty());
    until("the call", || tries.lock().unwrap().iter().any(|(job, _)| *job == 8)).await;
    let refused = client.enqueue::<work>("no-such-queue", 8).await.unwrap_err();
    assert_eq!(refused.code(), "enqueue_error");
    assert!(refused.message().contains("default"), "the queues are named: {refused}");
    running.drain().await.unwrap();
    engine.stop().await;
}
