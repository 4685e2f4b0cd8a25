//! Snapshots of the expansions: one small input for each macro, compared to a file in `snapshots/`.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

/// How many lines of each side a mismatch shows.
const SHOWN_LINES: usize = 8;

/// Compares an expansion to `snapshots/{name}.rs`. With `UPDATE_SNAPSHOTS=1` in the environment, writes that file instead.
fn assert_snapshot(name: &str, expansion: &TokenStream) {
    let file: syn::File = syn::parse2(expansion.clone()).unwrap_or_else(|error| {
        panic!("the expansion of `{name}` is not valid: {error}\n{expansion}")
    });
    let code = prettyplease::unparse(&file);
    let actual = format!("//! The expansion of `{name}` in `snapshots.rs`.\n\n{code}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/snapshots/{name}.rs"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        std::fs::write(&path, actual).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let help = "`UPDATE_SNAPSHOTS=1 cargo test -p iii-macros --all-features` writes the snapshots";
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}\n{help}", path.display()));
    assert!(
        expected == actual,
        "the expansion of `{name}` differs from {} at line {}\n{help}",
        path.display(),
        first_difference(&expected, &actual)
    );
}

/// Formats the number of the first line that differs, and the lines of both sides from there on.
fn first_difference(expected: &str, actual: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let actual: Vec<&str> = actual.lines().collect();
    let pairs = expected.iter().zip(&actual);
    let at = pairs.take_while(|(expected, actual)| expected == actual).count();
    let lines = |sign: char, all: &[&str]| -> String {
        let shown = all.iter().skip(at).take(SHOWN_LINES);
        shown.map(|line| format!("{sign} {line}\n")).collect()
    };
    format!("{}:\n{}{}", at + 1, lines('-', &expected), lines('+', &actual))
}

#[test]
fn difference_shows_the_first_lines_that_differ() {
    assert_eq!(first_difference("a\nb\nc", "a\nx"), "2:\n- b\n- c\n+ x\n");
    assert_eq!(first_difference("a", "a\nb"), "2:\n+ b\n");
}

#[test]
fn function() {
    let options = quote! {
        id = "orders::create",
        timeout = "30s",
        concurrency = 4,
        intercept = [Traced::new()],
        metadata = "beta"
    };
    let item = quote! {
        /// Creates an order.
        #[cfg(unix)]
        pub async fn create(
            order: NewOrder,
            State(stock): State<Stock>,
        ) -> Result<Order, OrderError> {
            stock.take(order).await
        }
    };
    assert_snapshot("function", &crate::function::expand(options, item));
}

/// A function with an invalid id keeps its stub.
#[test]
fn function_with_error() {
    let options = quote!(id = "create");
    let item = quote! {
        fn create(order: NewOrder) -> Order {
            order.into()
        }
    };
    assert_snapshot("function_with_error", &crate::function::expand(options, item));
}

/// `#[iii::trigger]` below `#[iii::function]`.
#[test]
fn trigger() {
    let options = quote!(id = "orders::get");
    let item = quote! {
        #[iii::trigger(
            http,
            path = "/orders/:id",
            condition = is_open,
            middleware = [authorize],
            metadata = 1
        )]
        #[iii::trigger(cron, "0 0 9 * * MON-FRI")]
        #[iii::trigger(queue, topic = "orders.created", mode = "fifo", backoff = "1s")]
        #[iii::trigger("webhook", config = Webhook::new("/hook"))]
        fn get(id: Path<u64>) -> Order {
            load(*id)
        }
    };
    assert_snapshot("trigger", &crate::function::expand(options, item));
}

/// `#[iii::trigger]` above `#[iii::function]`, which it moves below.
#[test]
fn trigger_above_function() {
    let options = quote!(http, path = "/orders");
    let item = quote! {
        #[iii::function(id = "orders::list")]
        #[iii::trigger(cron, "@daily")]
        fn list() -> Vec<Order> {
            load_all()
        }
    };
    assert_snapshot("trigger_above_function", &crate::trigger::expand(&options, &item));
}

#[test]
fn http_function() {
    let options = quote! {
        id = "ext::charge",
        url = env("PAY_URL"),
        method = "PUT",
        timeout = "5s",
        headers("x-tenant" = "7"),
        auth = bearer("PAY_TOKEN")
    };
    let item = quote! {
        /// Charges a card.
        pub async fn charge(order: Charge) -> Result<Receipt, PayError>;
    };
    assert_snapshot("http_function", &crate::http_function::expand(options, item));
}

#[test]
fn remote() {
    let options = quote!(prefix = "orders", namespace = "shop", timeout = "5s");
    let item = quote! {
        /// Orders of the shop.
        pub trait Orders {
            /// Creates an order.
            async fn create(order: NewOrder) -> Result<Order, OrderError>;
            #[remote(id = "orders::all", timeout = "1m")]
            async fn list() -> Vec<Order>;
        }
    };
    assert_snapshot("remote", &crate::remote::expand(options, &item));
}

#[test]
fn service() {
    let options = quote!(id = "orders", name = "Orders", intercept = [audit()]);
    let item = quote! {
        /// Orders of the shop.
        pub mod orders {
            #[iii::function]
            pub async fn create(order: NewOrder) -> Order {
                order.into()
            }

            #[iii::service]
            mod items {}
        }
    };
    assert_snapshot("service", &crate::service::expand(options, &item));
}

#[test]
fn stream() {
    let options = quote!(name = "chat");
    let item = quote! {
        /// Messages of the chat.
        impl StreamStore for Chat {
            type Item = Message;
        }
    };
    assert_snapshot("stream", &crate::stream::expand(options, &item));
}

#[test]
fn trigger_type() {
    let options = quote!(id = "mail::received");
    let item = quote! {
        /// Fires when mail arrives.
        impl TriggerType for Mailbox {
            type Event = Mail;
        }
    };
    assert_snapshot("trigger_type", &crate::trigger_type::expand(options, &item));
}

#[test]
fn main() {
    let options = quote!(link(other_worker), worker_threads = 2);
    let item = quote! {
        async fn main(app: &mut App) -> iii::Result<()> {
            app.state(Stock::new());
            Ok(())
        }
    };
    assert_snapshot("main", &crate::main_::expand(options, &item));
}

#[test]
fn test() {
    let options = quote!(start_time = "2026-01-05T09:00:00Z", only(create), setup = set_up);
    let item = quote! {
        #[should_panic(expected = "sold out")]
        async fn sells(iii: Harness) -> iii::Result<()> {
            iii.call::<create>(7).await
        }
    };
    assert_snapshot("test", &crate::test_::expand(options, item));
}

#[test]
fn error() {
    let item = quote! {
        enum OrderError {
            /// Out of stock.
            #[error(code = "orders/out-of-stock", status = 409)]
            OutOfStock { sku: String },
            #[error("there is no order {id}", code = "orders/not-found", retryable = false)]
            NotFound { id: u64, #[error(skip)] query: String },
            #[error(code = "orders/database", retry_after = "30s")]
            Database(#[source] std::io::Error),
            #[error(transparent)]
            Call(#[from] iii::Error),
        }
    };
    assert_snapshot("error", &crate::error_derive::expand(item));
}

#[test]
fn config() {
    let item = quote! {
        /// Settings of the shop.
        #[config(id = "shop")]
        struct Settings {
            /// The URL of the database.
            #[config(secret)]
            database_url: String,
            #[config(default = 100, min = 1, max = 1000)]
            most_items: u32,
            #[config(default = "30s", env = "SHOP_TIMEOUT")]
            timeout: Duration,
            #[config(nested)]
            mail: Option<Mail>,
        }
    };
    assert_snapshot("config", &crate::config_derive::expand(item));
}

#[cfg(feature = "import")]
#[test]
fn import() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    let options = quote!("src/snapshots/catalogue.json", prefix = "orders", timeout = "5s");
    assert_snapshot("import", &crate::import::expand_in(options, Some(folder)));
}
