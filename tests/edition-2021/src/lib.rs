//! A worker in the edition of 2021, under strict lints, that depends on nothing but iii-runtime and serde.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, clippy::pedantic)]

use iii::prelude::*;

/// An order to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewOrder {
    /// What is ordered.
    pub sku: String,
}

/// What can go wrong.
#[derive(Debug, iii::Error)]
pub enum OrderError {
    /// Sold out.
    #[error(code = "orders/sold-out", status = 409)]
    SoldOut {
        /// What is sold out.
        sku: String,
    },
    /// Another function failed.
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// What is in stock.
#[derive(Debug)]
pub struct Stock;

/// Makes an order.
///
/// # Errors
///
/// If there is nothing left.
#[iii::trigger(http, method = "POST", path = "/orders/:sku")]
#[iii::function(id = "orders::create", timeout = "5s", concurrency = 8)]
#[iii::trigger(queue, topic = "orders.wanted", max_retries = 3)]
pub async fn create(
    context: Context,
    order: NewOrder,
    client: Client,
    _stock: State<Stock>,
) -> Result<Created<String>, OrderError> {
    if order.sku.is_empty() {
        return Err(OrderError::SoldOut { sku: order.sku });
    }
    client.send::<announce>(order.sku.clone()).await?;
    Ok(Created(format!("{}/{}", context.function_id(), order.sku)))
}

/// Hears of orders.
#[iii::function(id = "orders::announce")]
#[iii::trigger(subscribe, topic = "orders.created")]
pub fn announce(sku: String) {
    drop(sku);
}

/// Is not there at all.
#[cfg(any())]
#[iii::function(id = "orders::nothing")]
#[iii::trigger(http, path = "/nothing")]
pub async fn nothing() -> ThereIsNoSuchType {}

#[cfg(test)]
mod tests {
    use super::{App, Stock};

    #[test]
    fn what_is_declared_is_in_the_catalogue() {
        let mut app = App::declared();
        assert!(app.catalogue().unwrap_err().to_string().contains("Stock"));
        let catalogue = app.state(Stock).catalogue().unwrap();
        let ids: Vec<&str> = catalogue.entries().iter().map(|entry| entry.function.id).collect();
        assert_eq!(ids, ["orders::announce", "orders::create"]);
        assert_eq!(catalogue.get("orders::create").unwrap().triggers.len(), 2);
    }
}
