#![deny(warnings, missing_docs)]
//! Functions of other workers, in each form.

use iii::Function;
use iii::prelude::*;
use std::time::Duration;

/// What is sent.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NewOrder {}

/// What comes back.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Order {}

const SHOP: &str = "shop";

/// The orders of the shop.
#[iii::remote(prefix = "orders", namespace = SHOP, timeout = "5s")]
pub trait Orders {
    /// Creates an order.
    async fn create(order: NewOrder) -> Result<Order, String>;
    #[remote(id = "orders::find-all", timeout = "1m")]
    fn find_all() -> Vec<Order>;
    fn r#move();
}

#[iii::remote]
trait Plain {
    #[remote(id = "plain::ping")]
    async fn ping(_: u8) -> iii::Result<()>;
}

fn shape<F: Function<Input = I, Output = O>, I, O>() -> (&'static str, Option<&'static str>) {
    assert!(F::info().is_none());
    (F::ID, F::NAMESPACE)
}

fn main() {
    assert_eq!(shape::<Orders::create, NewOrder, Order>(), ("orders::create", Some("shop")));
    assert_eq!(shape::<Orders::find_all, (), Vec<Order>>().0, "orders::find-all");
    assert_eq!(shape::<Orders::r#move, (), ()>().0, "orders::move");
    assert_eq!(shape::<Plain::ping, u8, ()>(), ("plain::ping", None));
    assert_eq!(Orders::create::TIMEOUT, Some(Duration::from_secs(5)));
    assert_eq!(Orders::find_all::TIMEOUT, Some(Duration::from_secs(60)));
    assert_eq!(Plain::ping::TIMEOUT, None);
}
