//! Services: what is registered, and the ids of the functions inside.

use crate::catalogue::{Catalogue, Declarations, Location, ServiceDescriptor};
use crate::prelude::*;

/// All that is sold.
#[iii::service(name = "The shop")]
pub(super) mod shop {
    use crate::prelude::*;

    #[iii::function]
    pub(crate) async fn open() -> bool {
        true
    }

    /// Its baskets.
    #[iii::service(id = "baskets")]
    pub(crate) mod baskets {
        #[iii::function(id = "items::count")]
        #[iii::trigger(http, path = "/t/baskets/:id")]
        pub(crate) async fn count(basket: super::Basket) -> u64 {
            basket.id * 2
        }
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Basket {
        pub(crate) id: u64,
    }

    /// Modules that are no services belong to the one around.
    pub(crate) mod hours {
        #[iii::function(id = "hours")]
        #[iii::trigger(cron, "0 0 9 * * *")]
        pub(crate) fn of_today() -> u32 {
            8
        }
    }
}

#[iii::service(id = "t-parts", parent = shop, description = "Parts.")]
mod parts {
    #[iii::function(id = "all", stub = All)]
    pub(super) async fn all() -> Vec<u8> {
        Vec::new()
    }
}

#[iii::test(only(shop::open, shop::baskets::count, shop::hours::of_today))]
async fn functions_inside_are_called_and_triggered_by_their_whole_ids(iii: Harness) {
    assert!(iii.call::<shop::open>(()).await.unwrap());
    assert!(iii.call_raw::<bool>("shop::open", &()).await.unwrap());
    assert_eq!(iii.http().get("/t/baskets/4").send().await.text(), "8");
    let by_id: u64 =
        iii.call_raw("shop::baskets::items::count", &serde_json::json!({"id": 3})).await.unwrap();
    assert_eq!(by_id, 6);
    iii.advance_to("2026-01-05T09:00:00Z").await;
    assert_eq!(iii.calls::<shop::hours::of_today>().await.len(), 1);
}

#[test]
fn an_app_registers_the_services_of_its_functions() {
    let mut app = App::new();
    app.function::<shop::baskets::count>();
    let catalogue = app.catalogue().unwrap();
    let ids: Vec<&str> = catalogue.services().iter().map(|service| service.id).collect();
    assert_eq!(ids, ["shop", "shop::baskets"]);
    let [shop, baskets] = catalogue.services() else { panic!("two services") };
    assert_eq!((shop.name, shop.parent), (Some("The shop"), None));
    assert_eq!(shop.description, Some("All that is sold."));
    assert_eq!((baskets.name, baskets.parent), (None, Some("shop")));
    assert!(shop.location.file.ends_with("services.rs") && shop.location.line > 5);

    let mut app = App::new();
    app.function::<parts::All>();
    let catalogue = app.catalogue().unwrap();
    let services: Vec<_> = catalogue.services().iter().map(|one| (one.id, one.parent)).collect();
    // The parent comes along, its other functions do not.
    assert_eq!(services, [("t-parts", Some("shop")), ("shop", None)]);
    assert_eq!(catalogue.entries().len(), 1);
}

#[test]
fn a_service_that_is_declared_twice_is_a_problem_with_both_places() {
    const fn service(line: u32) -> ServiceDescriptor {
        ServiceDescriptor {
            id: "orders",
            name: None,
            description: None,
            parent: None,
            module: "shop::orders",
            location: Location { file: "src/a.rs", line, column: 1 },
        }
    }
    static ONE: ServiceDescriptor = service(1);
    static TWO: ServiceDescriptor = service(2);
    let mut app = App::new();
    app.function::<shop::open>();
    let (declarations, resources, ..) = app.into_parts();
    let declarations = Declarations { services: vec![&ONE, &TWO], ..declarations };
    let problems = Catalogue::assemble(&declarations, &resources).unwrap_err();
    let text = crate::Error::from(problems).to_string();
    for part in ["`orders` is declared 2 times", "src/a.rs:1:1", "src/a.rs:2:1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
