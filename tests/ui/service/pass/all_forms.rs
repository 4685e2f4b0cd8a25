//! Services in all forms: nested, renamed, conditional, in other modules, with other names of the attributes.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::all)]

/// Orders.
#[iii::service(id = "orders", name = "Orders", parent = "shop")]
pub mod orders {
    #![allow(unused_variables)]
    //! All about them.

    use iii::function;
    use iii::prelude::*;
    use iii::trigger;

    /// A new order.
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    pub struct NewOrder {
        /// What.
        pub sku: String,
    }

    /// Creates one.
    #[function(id = "create")]
    #[trigger(http, method = "POST", path = "/orders")]
    pub async fn create(order: NewOrder) -> u64 {
        1
    }

    /// Creates one, too.
    #[trigger(cron, "0 0 9 * * *")]
    #[::iii::function]
    pub async fn remind() {}

    #[cfg_attr(all(), iii::function(id = "hidden"))]
    async fn conditional() {}

    #[cfg(any())]
    #[iii::function]
    fn create() {}

    /// A name that is taken.
    #[iii::function(stub = Loop)]
    pub fn r#loop() {}

    /// Served elsewhere.
    #[iii::http_function(url = "https://example.com/ship")]
    pub async fn ship(order: NewOrder) -> iii::Result<u64>;

    #[iii::service]
    mod items {
        #[iii::function]
        pub(super) fn add(n: u64) -> u64 {
            n
        }
    }

    mod plain {
        #[iii::function]
        pub(super) fn listed() {}
    }

    pub(crate) fn ids() -> [&'static str; 7] {
        [
            <create as iii::Function>::ID,
            <remind as iii::Function>::ID,
            <conditional as iii::Function>::ID,
            <Loop as iii::Function>::ID,
            <ship as iii::Function>::ID,
            <items::add as iii::Function>::ID,
            <plain::listed as iii::Function>::ID,
        ]
    }
}

#[iii::service(parent = crate::orders)]
mod parts {}

#[cfg(any())]
#[iii::service(id = "orders")]
mod never {}

fn main() {
    let ids = [
        "orders::create",
        "orders::remind",
        "orders::hidden",
        "orders::loop",
        "orders::ship",
        "orders::items::add",
        "orders::listed",
    ];
    assert_eq!(orders::ids(), ids);
    let catalogue = iii::App::declared().catalogue().unwrap();
    let services: Vec<_> = catalogue.services().iter().map(|one| (one.id, one.parent)).collect();
    let wanted =
        [("orders", Some("shop")), ("orders::items", Some("orders")), ("parts", Some("orders"))];
    assert_eq!(services, wanted);
    assert_eq!(catalogue.services()[0].description, Some("Orders."));
    assert!(catalogue.get("orders::ship").unwrap().endpoint.is_some());
}
