//! Procedural macros of `iii-runtime`: they parse declarations, check them, and write down what the runtime reads.
//!
//! Use them through that crate, as `iii::function` and so on. With `III_MACROS_DEBUG=1` in the environment of the
//! compiler, each prints what it made.

mod diagnostics;
mod docs;
mod error_derive;
mod function;
mod main_;
mod names;
mod options;
mod trigger;

use proc_macro::TokenStream;

/// Declares a function of the worker.
///
/// ```ignore
/// /// Creates an order.
/// #[iii::function(id = "orders::create")]
/// #[iii::trigger(http, method = "POST", path = "/orders")]
/// async fn create(order: NewOrder, stock: State<Stock>) -> Result<Order, OrderError> { … }
/// ```
///
/// The function stays as it is, and can be called and tested. A type of the same name is made beside it, for typed
/// calls: `client.call::<create>(order)`. A function that is not `async` runs where it may block.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `id = "service::name"` | the id on the wire; a text, or the path of a constant | required |
/// | `description = "…"` | what it does | the doc comment |
/// | `metadata = value` | any value that can be serialised, shown in the catalogue of the engine | none |
/// | `timeout = "30s"` | how long one run may take | that of the app |
/// | `concurrency = 4` | how many runs may go on at the same time | that of the app |
/// | `stub = Name` | the name of the type for typed calls; `false` for none | the name of the function |
/// | `crate = path` | the path of the runtime | `::iii` |
///
/// An argument is an extractor, such as `State<T>` or `Context`, or the payload: any type that is `Deserialize` and
/// `JsonSchema`. There is at most one payload. Two equal ids in a crate do not compile.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(function::expand(options.into(), item.into()))
}

/// Declares what invokes a function. It stands above or below [`macro@function`], any number of times.
///
/// ```ignore
/// #[iii::trigger(http, method = "POST", path = "/orders/:id", condition = is_open, middleware = [auth])]
/// #[iii::trigger(cron, "0 0 9 * * MON-FRI")]
/// #[iii::trigger(queue, topic = "orders", mode = "fifo", max_retries = 3, concurrency = 1, backoff = "1s")]
/// #[iii::trigger(subscribe, topic = "orders")]
/// #[iii::trigger(state, scope = "orders", key = "42")]
/// #[iii::trigger(stream, name = "chat", group = "room", item = "1")]
/// #[iii::trigger(log, level = "error")]
/// #[iii::trigger("webhook", config = json!({ "url": "/hook" }))]
/// ```
///
/// The last form is for any other trigger type, by its id. All take `metadata = value`, which reaches the function as
/// `Metadata<T>`; all but `subscribe`, `log` and the last take `condition = path`, a declared function that gives a
/// `bool`. Cron expressions have 6 or 7 fields, the first is the second, and day 1 of the week is Sunday; times are UTC.
#[proc_macro_attribute]
pub fn trigger(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(trigger::expand(&options.into(), &item.into()))
}

/// Makes a function the entry point of the worker. What it gets is the app, to set up before the worker starts.
///
/// ```ignore
/// #[iii::main]
/// async fn main(app: &mut App) -> iii::Result<()> {
///     app.state(Stock::open().await?);
///     Ok(())
/// }
/// ```
///
/// The argument may be left out, and the result be `()` or any `Result<(), E>`. `link(orders, billing)` names crates
/// whose declarations belong to the worker: a crate that nothing names is left out by the linker.
/// `worker_threads = 4` sets how many threads run functions; the default is one for each core.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(main_::expand(options.into(), &item.into()))
}

/// Gives each variant of an error a code, and makes it an error that functions may return.
///
/// ```ignore
/// #[derive(Debug, iii::Error)]
/// enum OrderError {
///     #[error("no {sku} left", code = "orders/out-of-stock", status = 409)]
///     OutOfStock { sku: String },
///     #[error(code = "orders/storage", retryable = true)]
///     Storage(#[from] std::io::Error),
///     #[error(transparent)]
///     Payment(#[from] PaymentError),
/// }
/// ```
///
/// The message is the text without a name, or `message = "…"`; the default is the doc comment, or the name in words.
/// Fields are told to callers as details, except for `#[source]` and `#[from]`, and those with `#[error(skip)]`.
/// `status` is from 400 to 599, by default 500. `#[error(crate = path)]` on the type names the runtime.
#[proc_macro_derive(Error, attributes(error, from, source))]
pub fn error(item: TokenStream) -> TokenStream {
    shown(error_derive::expand(item.into()))
}

/// Prints the expansion if somebody wants to see it.
#[allow(clippy::print_stderr)]
fn shown(tokens: proc_macro2::TokenStream) -> TokenStream {
    if std::env::var_os("III_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("{tokens}");
    }
    tokens.into()
}
