//! Our side: the worker as `#[iii::main]` makes it, and the engine in a process of its own.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use iii::Running;
use iii::engine::Engine;
use iii::prelude::*;

use crate::Error;
use crate::orders::{NewOrder, Order};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct GetOrder {
    id: u64,
}

/// The messages that a worker has taken from the topic.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    count: AtomicUsize,
}

/// Takes an order.
#[iii::function(id = "bench::create")]
#[iii::trigger(http, method = "POST", path = "/orders")]
pub(crate) async fn create(new: NewOrder) -> Order {
    new.accept()
}

/// Reads an order.
#[iii::function(id = "bench::get")]
#[iii::trigger(http, path = "/orders/:id")]
async fn get(wanted: GetOrder) -> Order {
    Order::by_id(wanted.id)
}

/// Takes a message of a durable topic.
#[iii::function(id = "bench::take")]
#[iii::trigger(queue, topic = "bench.orders")]
async fn take(_order: NewOrder, taken: State<Taken>) {
    taken.count.fetch_add(1, Ordering::Relaxed);
}

/// How many messages were taken.
#[iii::function(id = "bench::taken")]
pub(crate) async fn taken(_nothing: (), taken: State<Taken>) -> usize {
    taken.count.load(Ordering::Relaxed)
}

/// The namespace of the worker.
pub(crate) const SERVED: &str = "default";

/// A client in this process, for functions of the worker at an engine. An app declares at least one function; in a
/// namespace of its own it collides with nothing.
pub(crate) async fn caller(url: &str) -> Result<Running, Error> {
    let mut app = App::new();
    app.url(url).namespace("callers").state(Taken::default()).function::<taken>();
    Ok(app.start().await?)
}

/// The role `worker`: with an engine in its process, or at `III_URL`.
#[iii::main]
pub(crate) async fn main(app: &mut App) {
    app.state(Taken::default());
}

/// The role `engine`.
pub(crate) fn engine() -> Result<(), Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let engine = Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await?;
        let workers = engine.worker_addr().ok_or("the engine listens for workers")?;
        writeln!(std::io::stdout(), "ready on {workers}")?;
        std::future::pending::<()>().await;
        engine.stop().await;
        Ok(())
    })
}
