//! Orders over HTTP, a subscriber for created orders, and a report every ten seconds.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;

use iii::prelude::*;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NewOrder {
    /// The item to order.
    sku: String,
    /// The number of items; at least 1.
    quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Order {
    id: u64,
    sku: String,
    quantity: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct GetOrder {
    id: u64,
}

#[derive(Debug, iii::Error)]
enum OrderError {
    /// The quantity is zero.
    #[error(code = "orders/empty", status = 422)]
    Empty,
    #[error("there is no order {id}", code = "orders/not-found", status = 404)]
    NotFound { id: u64 },
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// The orders, in memory.
#[derive(Debug, Default)]
struct Orders {
    by_id: Mutex<BTreeMap<u64, Order>>,
}

impl Orders {
    fn add(&self, new: NewOrder) -> Order {
        let mut by_id = self.by_id.lock().expect("no handler panics with the lock");
        let id = by_id.len() as u64 + 1;
        let order = Order { id, sku: new.sku, quantity: new.quantity };
        by_id.insert(id, order.clone());
        order
    }

    fn get(&self, id: u64) -> Option<Order> {
        self.by_id.lock().expect("no handler panics with the lock").get(&id).cloned()
    }

    fn count(&self) -> usize {
        self.by_id.lock().expect("no handler panics with the lock").len()
    }
}

/// Creates an order.
#[iii::function(id = "orders::create")]
#[iii::trigger(http, method = "POST", path = "/orders")]
async fn create(
    new: NewOrder,
    orders: State<Orders>,
    client: Client,
) -> Result<Created<Order>, OrderError> {
    if new.quantity == 0 {
        return Err(OrderError::Empty);
    }
    let order = orders.add(new);
    client.publish("orders.created", &order).await?;
    Ok(Created(order))
}

/// Reads an order.
#[iii::function(id = "orders::get")]
#[iii::trigger(http, path = "/orders/:id")]
async fn get(wanted: GetOrder, orders: State<Orders>) -> Result<Order, OrderError> {
    orders.get(wanted.id).ok_or(OrderError::NotFound { id: wanted.id })
}

/// Logs each created order.
#[iii::function(id = "orders::announce")]
#[iii::trigger(subscribe, topic = "orders.created")]
async fn announce(order: Order) {
    iii::tracing::info!("order {} is for {} {}", order.id, order.quantity, order.sku);
}

/// Logs the number of orders every ten seconds.
#[iii::function(id = "orders::report")]
#[iii::trigger(cron, "*/10 * * * * *")]
fn report(_tick: CronTick, orders: State<Orders>) {
    iii::tracing::info!("{} orders so far", orders.count());
}

/// Configures the app; shared with the tests.
async fn set_up(app: &mut App) {
    app.state(Orders::default());
}

#[iii::main]
async fn main(app: &mut App) {
    set_up(app).await;
}
