//! Declared functions that HTTP endpoints serve, and declared services: what goes over the wire to the engine, and from
//! the engine to a real endpoint.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex, mpsc};

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use iii::engine::{Engine, HttpFunctionSettings};
use iii::prelude::*;
use iii::{Running, code};
use iii_tests::{FakeEngine, engine_with, within, worker_url};
use serde_json::{Value, json};
use sha2::Sha256;

/// A variable that every test has and whose value is its secret: tests cannot set one.
const SECRET: &str = "PATH";

/// What the endpoint got.
#[derive(Debug, Clone)]
struct Got {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// The last request to each path.
static GOT: LazyLock<Mutex<HashMap<String, Got>>> = LazyLock::new(Mutex::default);

/// One endpoint for all tests of this process, on a thread of its own: addresses of declared functions are asked for at
/// any start.
static ENDPOINT: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let serving = http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service_fn(answer));
                tokio::spawn(serving);
            }
        });
    });
    told.recv().expect("it listens")
});

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let path = head.uri.path().to_owned();
    let got = Got { method: head.method, headers: head.headers, body };
    GOT.lock().unwrap().insert(path.clone(), got);
    let (status, body) = match path.as_str() {
        "/charge" => (200, r#"{"number":"r-1"}"#),
        "/refuse" => (402, r#"{"error":{"code":"pay/broke","message":"no money"}}"#),
        "/odd" => (200, r#"{"number":7}"#),
        "/slow" => return std::future::pending().await,
        _ => (204, ""),
    };
    let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
    Ok(response.expect("a response"))
}

fn at(path: &str) -> String {
    format!("http://{}{path}", *ENDPOINT)
}

fn got(path: &str) -> Got {
    GOT.lock().unwrap().get(path).cloned().unwrap_or_else(|| panic!("nobody asked {path}"))
}

/// Money that is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    cents: u64,
}

/// What was taken.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    number: String,
}

/// Money.
#[iii::service(id = "pay", name = "Payments")]
pub mod pay {
    use super::{Charge, Receipt, SECRET, at};

    /// Takes money.
    #[iii::http_function(
        url = at("/charge?key=1"),
        method = "PUT",
        timeout = "9s",
        headers("x-tenant" = "7"),
        auth = hmac(SECRET)
    )]
    pub async fn charge(charge: Charge) -> iii::Result<Receipt>;

    #[iii::http_function(url = at("/refuse"), auth = bearer(SECRET))]
    pub async fn refuse(charge: Charge) -> Receipt;

    #[iii::http_function(url = at("/empty"), auth = api_key("x-api-key", SECRET))]
    pub async fn empty();

    #[iii::http_function(url = at("/odd"))]
    pub async fn odd() -> Receipt;

    #[iii::http_function(url = at("/slow"), timeout = "50ms")]
    pub async fn slow();

    /// Its own inner part.
    #[iii::service]
    pub mod audit {
        /// Asks the endpoint, as any function asks any other.
        #[iii::function(id = "both")]
        pub async fn both(cents: u64, client: iii::Client) -> iii::Result<String> {
            let receipt = client.call::<super::charge>(super::Charge { cents }).await?;
            Ok(format!("{} for {cents}", receipt.number))
        }
    }
}

#[iii::http_function(id = "pay::lost", url = at("/lost"), auth = bearer("III_TEST_NOT_SET"))]
async fn lost();

/// Everything on this machine may be called.
fn open() -> HttpFunctionSettings {
    HttpFunctionSettings {
        require_https: false,
        block_private_ips: false,
        ..HttpFunctionSettings::default()
    }
}

fn app(url: &str) -> App {
    let mut app = App::new();
    app.url(url).name("pay");
    app
}

async fn running(engine: &Engine) -> Running {
    let mut app = app(&worker_url(engine));
    app.function::<pay::charge>()
        .function::<pay::refuse>()
        .function::<pay::empty>()
        .function::<pay::odd>()
        .function::<pay::slow>()
        .function::<pay::audit::both>();
    within("the start", app.start()).await.expect("all is taken")
}

#[tokio::test]
async fn calls_reach_the_endpoint_with_headers_and_proofs() {
    let secret = std::env::var(SECRET).expect("a variable");
    let engine = engine_with(|builder| builder.http_functions(open())).await;
    let mut pay = running(&engine).await;
    let client = pay.client();

    let receipt = client.call::<pay::charge>(Charge { cents: 5 }).await.unwrap();
    assert_eq!(receipt, Receipt { number: "r-1".to_owned() });
    let got_it = got("/charge");
    assert_eq!(got_it.method, Method::PUT);
    for (name, value) in [
        ("x-tenant", "7"),
        ("content-type", "application/json"),
        ("x-iii-function-path", "pay::charge"),
    ] {
        assert_eq!(got_it.headers[name], value, "{name}");
    }
    let body: Value = serde_json::from_slice(&got_it.body).unwrap();
    assert_eq!(body["cents"], 5);
    let timestamp = got_it.headers["x-iii-timestamp"].to_str().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}:{}", BASE64.encode(&got_it.body)).as_bytes());
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    assert_eq!(got_it.headers["x-iii-signature"], format!("sha256={signature}"));

    client.call::<pay::empty>(()).await.unwrap();
    assert_eq!(got("/empty").headers["x-api-key"], secret);

    let error = client.call::<pay::refuse>(Charge { cents: 6 }).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("pay/broke", 402));
    assert_eq!(got("/refuse").headers["authorization"], format!("Bearer {secret}"));

    let error = client.call::<pay::odd>(()).await.unwrap_err();
    assert_eq!(error.code(), code::INVALID_RESULT);
    let error = client.call::<pay::slow>(()).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("http_request_failed", 504));

    let both = client.call::<pay::audit::both>(3).await.unwrap();
    assert_eq!(both, "r-1 for 3");
    pay.drain().await.unwrap();
}

#[tokio::test]
async fn other_workers_call_it_until_its_worker_leaves() {
    let engine = engine_with(|builder| builder.http_functions(open())).await;
    let mut pay = running(&engine).await;
    let mut peer = iii_tests::worker(&engine, "peer").await;
    assert_eq!(peer.call("pay::charge", json!({"cents": 1})).await, Ok(json!({"number": "r-1"})));
    let info =
        peer.call("engine::functions::info", json!({"function_id": "pay::charge"})).await.unwrap();
    assert_eq!(info["description"], "Takes money.");
    assert_eq!(info["request_schema"]["required"], json!(["cents"]));
    assert_eq!(info["response_schema"]["required"], json!(["number"]));
    assert_eq!(info.get("unusable"), None);
    pay.drain().await.unwrap();
    let error = peer.call("pay::charge", json!({"cents": 1})).await.unwrap_err();
    assert_eq!(error["code"], "function_not_found");
}

#[tokio::test]
async fn services_and_endpoints_are_registered_in_order_and_again_after_a_lost_link() {
    let engine = FakeEngine::start().await;
    let mut app = app(&engine.url());
    app.function::<pay::charge>().function::<pay::audit::both>();
    let starting = tokio::spawn(async move { app.start().await });
    let first = engine.accept_and_confirm("a", "00000000-0000-4000-8000-000000000001").await;
    let running = within("the start", starting).await.unwrap().expect("all is taken");

    let registered = |messages: &[Value]| -> Vec<Value> {
        let of_worker =
            |one: &&Value| one["type"].as_str().is_some_and(|t| t.starts_with("register"));
        messages.iter().filter(of_worker).cloned().collect()
    };
    let messages = registered(&first.messages);
    let ids: Vec<_> = messages
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap()))
        .collect();
    assert_eq!(
        ids,
        [
            ("registerservice", "pay"),
            ("registerservice", "pay::audit"),
            ("registerfunction", "pay::charge"),
            ("registerfunction", "pay::audit::both"),
        ]
    );
    assert_eq!(
        messages[0],
        json!({"type": "registerservice", "id": "pay", "name": "Payments", "description": "Money."})
    );
    assert_eq!(messages[1]["parent_service_id"], "pay");
    assert_eq!(
        messages[2]["invocation"],
        json!({
            "url": at("/charge?key=1"), "method": "PUT", "timeout_ms": 9000,
            "headers": {"x-tenant": "7"}, "auth": {"type": "hmac", "secret_key": SECRET},
        })
    );
    assert_eq!(messages[3].get("invocation"), None);

    drop(first.peer);
    let second = engine.accept_and_confirm("b", "00000000-0000-4000-8000-000000000002").await;
    assert_eq!(registered(&second.messages), messages, "the same once more");
    running.abort();
}

#[tokio::test]
async fn an_endpoint_that_the_engine_may_not_call_ends_the_start() {
    let engine = iii_tests::engine().await;
    let mut app = app(&worker_url(&engine));
    app.function::<pay::charge>().function::<pay::audit::both>();
    let error = within("the start", app.start()).await.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    let text = error.message();
    assert!(text.contains("`pay::charge`") && text.contains("`require_https`"), "{text}");
    assert!(text.contains("tests/endpoints.rs:"), "{text}");
    assert!(!text.contains("key=1") && !text.contains("`pay::audit::both`"), "{text}");

    let engine = engine_with(|builder| builder.http_functions(open())).await;
    let mut app = self::app(&worker_url(&engine));
    let error = within("the start", app.function::<lost>().start()).await.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    assert!(error.message().contains("token_not_found"), "{error}");
    let mut peer = iii_tests::worker(&engine, "peer").await;
    // The worker has left, and its function with it.
    let ask = json!({"function_ids": ["pay::lost"]});
    let answer = peer.call("engine::functions::info", ask).await.unwrap();
    assert_eq!(answer["functions"][0]["error"], "not_found");

    let engine = engine_with(|builder| builder.http_functions(None)).await;
    let mut app = self::app(&worker_url(&engine));
    let error = within("the start", app.function::<lost>().start()).await.unwrap_err();
    assert!(error.message().contains("http_functions_unavailable"), "{error}");
}

#[tokio::test]
async fn an_engine_that_refuses_in_silence_is_found_out() {
    let engine = FakeEngine::start().await;
    let mut app = app(&engine.url());
    app.function::<pay::charge>();
    let starting = tokio::spawn(async move { app.start().await });
    let mut peer = engine.accept("a", "00000000-0000-4000-8000-000000000001").await;
    loop {
        let message = peer.next().await.expect("the worker asks");
        let result = match message["function_id"].as_str() {
            Some("engine::workers::register") => json!({"success": true}),
            Some("engine::functions::info") => {
                json!({"functions": [{"function_id": "pay::charge", "error": "not_found"}]})
            }
            _ => continue,
        };
        let is_last = result.get("functions").is_some();
        peer.send(json!({
            "type": "invocationresult", "invocation_id": message["invocation_id"],
            "function_id": message["function_id"], "result": result,
        }))
        .await;
        if is_last {
            break;
        }
    }
    let error = within("the start", starting).await.unwrap().unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    assert!(error.message().contains("`iii-http-functions`"), "{error}");
}

#[iii::test(real_time, only(pay::charge, pay::odd, pay::audit::both))]
async fn a_test_in_real_time_calls_endpoints_and_mocks_them(iii: Harness) {
    iii.http_functions(open());
    iii.mock::<pay::odd>(|()| Ok(Receipt { number: "even".to_owned() }));
    assert_eq!(iii.call::<pay::audit::both>(2).await.unwrap(), "r-1 for 2");
    assert_eq!(iii.call::<pay::odd>(()).await.unwrap().number, "even");
    // A mock may come late, too.
    iii.mock::<pay::charge>(|charge| Ok(Receipt { number: format!("mocked {}", charge.cents) }));
    assert_eq!(iii.call::<pay::audit::both>(4).await.unwrap(), "mocked 4 for 4");
    assert_eq!(
        iii.calls::<pay::charge>().await.len(),
        1,
        "the endpoint's calls pass the worker by"
    );
}
