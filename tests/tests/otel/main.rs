//! The telemetry that workers send: to the engine over a socket, to a collector, and what happens if nobody takes it.

mod collector;
mod engine;
mod trouble;

use std::sync::Once;
use std::time::Duration;

use iii::engine::Engine;
use iii::prelude::*;
use iii::tracing;
use iii_tests::{Peer, worker_url};
use serde_json::{Value, json};

/// What a program does that has a subscriber of its own.
fn subscribe() {
    use tracing_subscriber::prelude::*;

    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(iii::telemetry::layer()).init());
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    sku: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    iban: String,
}

/// Takes an order: logs, works in a span of its own, and calls another worker. Gives back its trace.
#[iii::function(id = "shop::order")]
async fn order(order: Order, client: Client) -> iii::Result<String> {
    use tracing::Instrument;

    tracing::warn!(sku = order.sku, token = "t-1", pieces = 2, "ordering");
    let price = async { client.call::<take>(Order { sku: order.sku, ..none() }).await };
    price.instrument(tracing::info_span!("price", currency = "EUR", password = "p-2")).await?;
    Ok(iii::telemetry::current_trace().traceparent.expect("a handler has a span"))
}

fn none() -> Order {
    Order { sku: String::new(), password: String::new(), iban: String::new() }
}

/// Takes something from the stock, on a thread of its own.
#[iii::function(id = "stock::take")]
fn take(order: Order) {
    tracing::info!("taking {}", order.sku);
}

#[derive(Debug, iii::Error)]
enum Refused {
    #[error(code = "shop/refused", message = "not today")]
    Today,
}

/// Always fails.
#[iii::function(id = "shop::refuse")]
async fn refuse(_order: Order) -> Result<(), Refused> {
    Err(Refused::Today)
}

/// For workers with one function, and nothing else that is special.
fn serving<F: iii::catalogue::Declared>(app: &mut App) {
    app.function::<F>();
}

/// A worker of this name, as `with` says.
async fn start(
    engine: &Engine,
    name: &str,
    with: impl FnOnce(&mut App),
) -> iii::Result<iii::Running> {
    start_at(&worker_url(engine), name, with).await
}

async fn start_at(url: &str, name: &str, with: impl FnOnce(&mut App)) -> iii::Result<iii::Running> {
    let mut app = App::new();
    app.url(url).name(name).metrics_every(Duration::from_millis(200));
    with(&mut app);
    app.start().await
}

/// Asks until the answer is as wanted.
async fn asked(peer: &mut Peer, id: &str, input: Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = peer.call(id, input.clone()).await.expect("an answer");
        if wanted(&last) {
            return last;
        }
        // Telemetry comes when it comes.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} never said what is wanted: {last:#}");
}

/// The spans of this name.
async fn spans(peer: &mut Peer, name: &str, count: usize) -> Vec<Value> {
    let input = json!({"name": name, "search_all_spans": true, "limit": 10_000});
    let has = |page: &Value| page["spans"].as_array().is_some_and(|spans| spans.len() >= count);
    asked(peer, "engine::traces::list", input, has).await["spans"].as_array().unwrap().clone()
}

/// The value of an attribute of a span.
fn attribute<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    let attributes = of["attributes"].as_array().expect("attributes");
    attributes.iter().find(|one| one[0] == name).and_then(|one| one[1].as_str())
}
