//! The functions that these tests call. All tests of this crate share one process, so each names those that it wants.

use std::sync::Mutex;
use std::time::Duration;

use crate::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct NewOrder {
    pub(super) sku: String,
    pub(super) quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) sku: String,
    pub(super) quantity: u32,
}

#[derive(Debug, iii::Error)]
pub(super) enum OrderError {
    #[error(code = "orders/empty", status = 422)]
    Empty,
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// What the worker keeps.
#[derive(Debug, Default)]
pub(super) struct Stock {
    pub(super) orders: Mutex<Vec<Order>>,
}

#[iii::function(id = "t::create")]
#[iii::trigger(http, method = "POST", path = "/orders")]
#[iii::trigger(queue, topic = "orders.wanted")]
pub(super) async fn create(
    new: NewOrder,
    stock: State<Stock>,
    client: Client,
) -> Result<Created<Order>, OrderError> {
    if new.quantity == 0 {
        return Err(OrderError::Empty);
    }
    let order = {
        let mut orders = stock.orders.lock().unwrap();
        let id = orders.len() as u64 + 1;
        orders.push(Order { id, sku: new.sku, quantity: new.quantity });
        orders[orders.len() - 1].clone()
    };
    client.publish("orders.created", &order).await?;
    Ok(Created(order))
}

#[iii::function(id = "t::announce")]
#[iii::trigger(subscribe, topic = "orders.created")]
pub(super) async fn announce(order: Order) -> u64 {
    order.id
}

#[iii::function(id = "t::double")]
#[iii::trigger("t::custom", config = 1)]
pub(super) async fn double(n: u32) -> u32 {
    n * 2
}

/// On another thread.
#[iii::function(id = "t::slow_double")]
pub(super) fn slow_double(n: u32) -> u32 {
    std::thread::sleep(Duration::from_millis(5));
    n * 2
}

/// As long as it is told.
#[iii::function(id = "t::nap")]
pub(super) async fn nap(seconds: u64) -> u64 {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

#[iii::function(id = "t::panics")]
pub(super) async fn panics(n: u32) -> u32 {
    assert!(n > 9, "{n} is too small");
    n
}

/// The same on another thread.
#[iii::function(id = "t::panics_elsewhere")]
pub(super) fn panics_elsewhere(n: u32) -> u32 {
    assert!(n > 9, "{n} is too small");
    n
}

#[iii::function(id = "t::daily")]
#[iii::trigger(cron, "0 0 9 * * *")]
pub(super) async fn daily(tick: CronTick, context: Context) {
    assert_eq!(tick.actual_time, context.now());
}

#[iii::function(id = "t::hourly")]
#[iii::trigger(cron, "0 0 * * * *")]
pub(super) async fn hourly() {}

/// Fails as long as the message says so.
#[iii::function(id = "t::work")]
#[iii::trigger(queue, topic = "jobs", max_retries = 2, backoff = "1s")]
pub(super) async fn work(job: Job, context: Context, done: State<Done>) -> iii::Result<()> {
    if context.attempt().unwrap_or(1) <= job.fails {
        return Err(iii::Error::new("t/failed", "not yet"));
    }
    done.names.lock().unwrap().push(job.name);
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) fails: u32,
}

#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) names: Mutex<Vec<String>>,
}

/// Asks another worker.
#[iii::function(id = "t::buy")]
pub(super) async fn buy(cents: u64, client: Client) -> iii::Result<String> {
    client.call::<Charge>(cents).await
}

/// Asks, and is content with any answer.
#[iii::function(id = "t::careless")]
pub(super) async fn careless(cents: u64, client: Client) -> String {
    client.call::<Charge>(cents).await.unwrap_or_default()
}

/// A function of another worker.
pub(super) struct Charge;

impl iii::Function for Charge {
    const ID: &'static str = "payments::charge";
    type Input = u64;
    type Output = String;
}

#[iii::function(id = "t::on_state")]
#[iii::trigger(state, scope = "carts")]
pub(super) async fn on_state(_event: StateEvent<Order>) {}

/// Who may hear of the stream `chat`.
#[iii::function(id = "t::may_join")]
#[iii::trigger("stream:join", config = ())]
pub(super) async fn may_join(wanted: Wanted) -> Verdict {
    Verdict { unauthorized: wanted.group_id == "secret" }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Wanted {
    group_id: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Verdict {
    unauthorized: bool,
}

#[iii::function(id = "t::greet")]
#[iii::trigger(http, path = "/hello/:name")]
pub(super) async fn greet(name: Path<String>, headers: Headers) -> String {
    format!("Hello, {} from {}", name.0, headers.get("x-from").unwrap_or("nowhere"))
}
