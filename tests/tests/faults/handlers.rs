//! F1 to F6, F19 to F21, F23 and F24: what handlers do, take, and answer, and how they are tested.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use iii::code;
use iii::prelude::*;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

#[iii::function(id = "faults::panics")]
async fn panics(n: u32) -> u32 {
    assert!(n > 9, "the inside of the worker");
    n
}

/// A handler that panics answers its caller at once with a code, and says nothing of its inside.
#[iii::test(only(panics))]
async fn f01_panic_answers_at_once(iii: Harness) {
    let begun = iii.now();
    let error = iii.call::<panics>(1).timeout(30 * SECOND).await.unwrap_err();
    assert_eq!(error.code(), code::PANIC);
    assert_eq!(iii.now(), begun, "not after the timeout of the caller");
    assert!(!error.to_string().contains("inside"), "{error}");
    assert_eq!(iii.call::<panics>(10).await.unwrap(), 10, "and the next call is served");
}

/// Where four threads meet.
struct Meeting {
    barrier: Barrier,
}

/// Returns only when it runs four times at the same time.
#[iii::function(id = "faults::meets")]
fn meets(meeting: State<Meeting>) {
    meeting.barrier.wait();
}

/// Plain functions run at the same time, on threads of their own.
#[iii::test(only(meets), real_time)]
async fn f02_plain_functions_run_at_the_same_time(iii: Harness) {
    iii.provide(Meeting { barrier: Barrier::new(4) });
    let calls = (0..4).map(|_| tokio::spawn(iii.call::<meets>(()).into_future()));
    for call in calls.collect::<Vec<_>>() {
        iii_tests::within("four at the same time", call).await.unwrap().unwrap();
    }
}

/// Async handlers run on all threads of the application's runtime: one that blocks its thread does not hold up the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 5)]
async fn f03_async_handlers_that_block_run_at_the_same_time() {
    #[iii::function(id = "faults::blocks-async")]
    async fn blocks_async(meeting: State<Meeting>) {
        meeting.barrier.wait();
    }
    let engine = iii_tests::engine().await;
    let mut app = App::new();
    app.url(iii_tests::worker_url(&engine)).state(Meeting { barrier: Barrier::new(4) });
    let mut running = app.function::<blocks_async>().start().await.unwrap();
    let client = running.client();
    let calls = (0..4).map(|_| tokio::spawn(client.call::<blocks_async>(()).into_future()));
    for call in calls.collect::<Vec<_>>() {
        iii_tests::within("four at the same time", call).await.unwrap().unwrap();
    }
    running.drain().await.unwrap();
}

/// Holds a thread until the test lets go.
struct Held {
    entered: tokio::sync::Notify,
    go_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

#[iii::function(id = "faults::holds-its-thread")]
fn holds_its_thread(held: State<Held>) {
    held.entered.notify_one();
    let _ = held.go_on.lock().unwrap().recv();
}

#[iii::function(id = "faults::trivial")]
async fn trivial() -> u32 {
    7
}

/// A handler that blocks delays neither the other functions nor the connection.
#[iii::test(only(holds_its_thread, trivial), real_time)]
async fn f04_a_blocking_handler_delays_no_other(iii: Harness) {
    let (let_go, go_on) = std::sync::mpsc::channel();
    let held = Held { entered: tokio::sync::Notify::new(), go_on: Mutex::new(go_on) };
    let held = iii.provide(held);
    let blocked = tokio::spawn(iii.call::<holds_its_thread>(()).into_future());
    iii_tests::within("the blocking handler", held.entered.notified()).await;
    assert_eq!(iii.call::<trivial>(()).await.unwrap(), 7);
    assert!(!blocked.is_finished());
    let_go.send(()).unwrap();
    blocked.await.unwrap().unwrap();
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    sku: String,
    quantity: u32,
}

#[iii::function(id = "faults::order")]
#[iii::trigger(http, method = "POST", path = "/faults/orders")]
async fn order(order: Order) -> u32 {
    order.quantity
}

/// A payload that does not fit is the caller's fault: a code, the field, status 400, and no trace of the inside.
#[iii::test(only(order))]
async fn f05_a_bad_payload_names_its_field(iii: Harness) {
    let wrong = serde_json::json!({"sku": "tea", "quantity": "x"});
    let error = iii.call_raw::<u32>("faults::order", &wrong).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (code::INVALID_PAYLOAD, 400));
    assert_eq!(error.details::<Value>().unwrap()["field"], "quantity");
    let missing = serde_json::json!({"sku": "tea"});
    let error = iii.call_raw::<u32>("faults::order", &missing).await.unwrap_err();
    assert_eq!(error.details::<Value>().unwrap()["field"], "quantity");
    assert_eq!(iii.http().post("/faults/orders").json(&missing).send().await.status(), 400);
}

#[derive(Debug, iii::Error)]
enum StockError {
    #[error("there is no {sku}", code = "stock/not-found", status = 404)]
    NotFound { sku: String },
}

#[iii::function(id = "faults::find")]
async fn find(sku: String) -> Result<u32, StockError> {
    Err(StockError::NotFound { sku })
}

/// An error of the user keeps its code, its message and its facts on the way to the caller.
#[iii::test(only(find))]
async fn f06_errors_keep_their_codes(iii: Harness) {
    let error = iii.call::<find>("tea".into()).await.unwrap_err();
    assert_eq!((error.code(), error.message()), ("stock/not-found", "there is no tea"));
    assert_eq!(error.details::<Value>().unwrap()["sku"], "tea");
}

#[iii::function(id = "faults::knows", timeout = "10s")]
#[iii::trigger(queue, topic = "faults.knows")]
async fn knows(
    n: u32,
    context: Context,
    metadata: Metadata<Option<String>>,
    client: Client,
    seen: State<Mutex<Vec<String>>>,
) -> bool {
    let left = context.time_left().map(|left| left.as_secs());
    let (attempt, caller) = (context.attempt(), context.caller().is_some());
    let said = format!("{n} {left:?} {attempt:?} {caller} {:?}", metadata.0);
    seen.lock().unwrap().push(said);
    *client.ready().borrow()
}

/// A handler takes what it needs: state, metadata, a client, and who calls, how often, and until when.
#[iii::test(only(knows))]
async fn f19_handlers_take_more_than_a_payload(iii: Harness) {
    let seen = iii.provide(Mutex::new(Vec::<String>::new()));
    assert!(iii.call::<knows>(1).metadata("from the test").await.unwrap());
    iii.publish_durable("faults.knows", &2).await.unwrap();
    iii.settle().await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], r#"1 Some(10) None true Some("from the test")"#);
    assert_eq!(seen[1], "2 Some(10) Some(1) false None");
}

/// Calls are made by type: input and output are the function's own, and all options have defaults.
#[iii::test(only(order))]
async fn f21_calls_are_typed(iii: Harness) {
    let quantity: u32 = iii.call::<order>(Order { sku: "tea".into(), quantity: 2 }).await.unwrap();
    assert_eq!(quantity, 2);
    let text = iii.call_raw::<String>("faults::order", &Order { sku: "tea".into(), quantity: 2 });
    assert_eq!(text.await.unwrap_err().code(), code::INVALID_RESULT);
}

/// How many run, and how many did at the most.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[iii::function(id = "faults::two-at-a-time", concurrency = 2)]
async fn two_at_a_time(busy: State<Busy>) {
    let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
    busy.most.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(SECOND).await;
    busy.now.fetch_sub(1, Ordering::SeqCst);
}

/// A worker limits how often a function runs at the same time; more calls wait, and are served.
#[iii::test(only(two_at_a_time))]
async fn f23_concurrency_is_limited(iii: Harness) {
    let busy: Arc<Busy> = iii.provide(Busy::default());
    let begun = iii.now();
    let calls = (0..10).map(|_| tokio::spawn(iii.call::<two_at_a_time>(()).into_future()));
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(busy.most.load(Ordering::SeqCst), 2);
    assert_eq!(iii.now().duration_since(begun).unwrap(), 5 * SECOND);
}

/// Functions of another worker, in whatever language.
#[iii::remote]
trait Payments {
    #[remote(id = "faults-payments::charge")]
    async fn charge(cents: u64) -> String;
}

#[iii::function(id = "faults::buy")]
async fn buy(cents: u64, client: Client) -> iii::Result<String> {
    client.call::<Payments::charge>(cents).await
}

/// A test stands in for other workers, fires faults, and looks at what was called, without an engine that runs.
#[iii::test(only(buy))]
async fn f24_other_workers_are_stood_in_for(iii: Harness) {
    iii.mock::<Payments::charge>(|cents| Ok(format!("paid {cents}")));
    assert_eq!(iii.call::<buy>(7).await.unwrap(), "paid 7");
    assert_eq!(iii.calls::<Payments::charge>().await[0].input(), 7);
    iii.fail_next::<Payments::charge>(iii::Error::new("payments/declined", "no"));
    assert_eq!(iii.call::<buy>(7).await.unwrap_err().code(), "payments/declined");
}
