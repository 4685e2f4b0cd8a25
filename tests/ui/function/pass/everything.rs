//! All of it in one crate, under strict lints.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, unreachable_pub, unused_qualifications)]

use iii::prelude::*;
use iii::{Function as _, Interceptor as _, catalogue::Declared as _, function, trigger};

/// A new order.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct NewOrder {
    sku: String,
}

/// An order.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Order {
    id: u64,
    sku: String,
}

/// What can go wrong.
#[derive(Debug, iii::Error)]
pub enum OrderError {
    /// There is none left.
    #[error(code = "orders/out-of-stock", status = 409, message = "no {sku} left")]
    OutOfStock {
        /// The article.
        sku: String,
    },
}

struct Stock {
    name: String,
}

type Outcome<T> = Result<T, OrderError>;

/// Creates an order.
///
/// Takes it from the stock.
#[function(
    id = "orders::create",
    metadata = ["team", "orders"],
    timeout = "30s",
    concurrency = 4
)]
#[trigger(http, method = "post", path = "/orders", condition = is_open, middleware = [authorize])]
#[trigger(queue, topic = "orders.requested", mode = "fifo", max_retries = 0, backoff = "1s")]
#[trigger(subscribe, topic = "orders")]
async fn create(order: NewOrder, stock: State<Stock>) -> Outcome<Order> {
    if order.sku == stock.name {
        return Err(OrderError::OutOfStock { sku: order.sku });
    }
    Ok(Order { id: 1, sku: order.sku })
}

#[function(id = "orders::is_open")]
async fn is_open(_request: HttpRequest<NewOrder>) -> bool {
    true
}

#[function(id = "orders::authorize")]
async fn authorize(request: MiddlewareRequest) -> Middleware {
    let _ = request;
    Middleware::Continue
}

#[iii::function(id = "orders::get", description = "Finds an order.")]
#[iii::trigger(http, path = "/orders/:id", metadata = ("a", 1))]
fn get(Path(id): Path<u64>, _stock: State<Stock>) -> Option<Order> {
    (id == 1).then(|| Order { id, sku: "tea".to_owned() })
}

#[function(id = "orders::item")]
#[trigger(http, path = "/orders/:order/items/:item")]
async fn item(path: Path<(u64, String)>, headers: Headers) -> iii::Result<Created<u64>> {
    let _ = headers;
    Ok(Created(path.0.0))
}

const NINE: &str = "0 0 9 * * MON-FRI";
const REPORT: &str = "orders::report";

#[function(id = REPORT)]
#[trigger(cron, "0 0 0 1 * *")]
#[trigger(cron, NINE)]
#[trigger(cron, expression = "@daily")]
async fn report(tick: CronTick, iii: Client) -> iii::Result<()> {
    let _ = (tick, iii);
    Ok(())
}

#[function(id = "orders::changed")]
#[trigger(state, scope = "orders", key = "1")]
async fn changed(event: StateEvent<Order>) {
    let _ = event;
}

#[function(id = "orders::any-state")]
#[trigger(state)]
async fn any_state(event: Payload) {
    let _ = event;
}

#[function(id = "orders::chat")]
#[trigger(stream, name = "chat", group = "room", item = "1")]
async fn chat(event: StreamEvent<Order>) {
    let _ = event;
}

#[function(id = "orders::log")]
#[trigger(log, level = "error")]
#[trigger(log)]
async fn log(event: LogEvent, context: Context) {
    let _ = (event, context);
}

#[function(id = "orders::hook")]
#[trigger("webhook", config = [("url", "/hook")], metadata = 1)]
#[trigger("other")]
#[trigger("durable:subscriber", topic = "hooks")]
#[trigger("stream:join")]
async fn hook(payload: Payload) -> Payload {
    payload
}

/// The entry point, which is not run here.
pub(crate) mod worker {
    use super::*;

    #[iii::main(worker_threads = 2, link(serde))]
    pub(crate) async fn main(app: &mut App) -> iii::Result<()> {
        app.state(Stock { name: "tea".to_owned() });
        Ok(())
    }
}

struct Quiet;

impl iii::Interceptor for Quiet {
    async fn around(&self, call: iii::Invocation, next: iii::Next) -> iii::Result<iii::output::Reply> {
        next.run(call).await
    }
}

/// Has something around it.
#[function(
    id = "orders::intercepted",
    intercept = [
        Quiet,
        iii::intercept::from_fn(async |call: iii::Invocation, next: iii::Next| next.run(call).await),
        iii::intercept::RateLimit::per_second(5).by("/sku").except::<intercepted>(),
    ]
)]
pub async fn intercepted(_order: NewOrder, _user: Option<Extension<String>>) {}

fn main() {
    let _: fn() -> std::process::ExitCode = worker::main;
    let input: <create as iii::Function>::Input = NewOrder { sku: create::ID.to_owned() };
    // The function is still one.
    drop(create(input, State::new(Stock { name: String::new() })));
    let _: fn(<is_open as iii::Function>::Input) -> _ = is_open;
    let output: <item as iii::Function>::Output = 7;
    let whole: <item as iii::Function>::Input = HttpRequest::new(());
    let _ = (output, whole);

    let declared = create::descriptor();
    assert_eq!(declared.id, "orders::create");
    assert_eq!(declared.description, Some("Creates an order.\n\nTakes it from the stock."));
    assert_eq!(declared.timeout, Some(std::time::Duration::from_secs(30)));
    assert_eq!(declared.concurrency, Some(4));
    assert_eq!(declared.location.line, 50);
    assert_eq!((declared.metadata.expect("there is some"))().as_str(), r#"["team","orders"]"#);
    assert!((declared.signature)().input_schema().is_some());

    let bindings: Vec<_> = declared.triggers.iter().map(|trigger| (trigger.binding)()).collect();
    assert_eq!(bindings[0].summary, "POST /orders");
    assert_eq!(bindings[0].function_refs.len(), 2);
    assert_eq!(bindings[1].kind.as_str(), "durable:subscriber");
    let lines: Vec<u32> = declared.triggers.iter().map(|trigger| trigger.location.line).collect();
    assert_eq!(lines, [47, 48, 49]);

    let declared = get::descriptor();
    assert_eq!(declared.description, Some("Finds an order."));
    let binding = (declared.triggers[0].binding)();
    assert_eq!(binding.metadata.expect("there is some").as_str(), r#"["a",1]"#);
    assert_eq!(report::ID, "orders::report");
}
