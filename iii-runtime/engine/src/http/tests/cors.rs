//! Tests of cross-origin requests and preflight requests.

use super::*;
use crate::CorsSettings;

async fn server_with_cors(origins: &[&str], methods: &[&str]) -> TestServer {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let settings =
        CorsSettings { allowed_origins: owned(origins), allowed_methods: owned(methods) };
    TestServer::with(ROUTE, |builder| builder.http_cors(settings)).await
}

fn with_origin(request: &str, origin: &str) -> String {
    request.replace("host: x", &format!("host: x\r\norigin: {origin}"))
}

fn preflight(origin: &str) -> String {
    let request = GET.replace("GET", "OPTIONS").replace(
        "host: x",
        "host: x\r\naccess-control-request-method: PUT\r\naccess-control-request-headers: x-a, x-b",
    );
    with_origin(&request, origin)
}

fn allows_nothing(reply: &Reply) -> bool {
    !reply.head.to_ascii_lowercase().contains("access-control-allow-")
}

const VARY: &str = "vary: origin, access-control-request-method, access-control-request-headers";

#[tokio::test]
async fn allowed_origins_pass_the_preflight_and_read_responses() {
    let mut server =
        server_with_cors(&["https://a.test", "http://b.test:8080"], &["GET", "put"]).await;
    for origin in ["https://a.test", "http://b.test:8080"] {
        let reply = fetch(server.addr, &preflight(origin)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert!(reply.has(&format!("access-control-allow-origin: {origin}")), "{reply:?}");
        assert!(reply.has("access-control-allow-methods: get, put"), "{reply:?}");
        assert!(reply.has("access-control-allow-headers: x-a, x-b"), "{reply:?}");
        assert!(reply.has(VARY), "{reply:?}");
        let (reply, _) = server.respond_with(&with_origin(GET, origin), Ok(Some(json!(1)))).await;
        assert!(reply.has(&format!("access-control-allow-origin: {origin}")), "{reply:?}");
        assert!(reply.has("access-control-expose-headers: *") && reply.has(VARY), "{reply:?}");
    }
}

#[tokio::test]
async fn functions_cannot_allow_other_origins() {
    let mut server = server_with_cors(&["https://a.test"], &[]).await;
    for origin in ["https://evil.test", "https://a.test.evil.test", "http://a.test", "null"] {
        let reply = fetch(server.addr, &preflight(origin)).await;
        assert_eq!(reply.status, 200);
        assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
        let own = json!({"headers": {"access-control-allow-origin": "*"}, "body": 1});
        let (reply, _) = server.respond_with(&with_origin(GET, origin), Ok(Some(own))).await;
        assert_eq!(reply.status, 200, "the request itself is handled");
        assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
    }
    // The same holds for responses of the engine and for requests without an origin.
    let reply =
        fetch(server.addr, &with_origin(&GET.replace("/a", "/b"), "https://evil.test")).await;
    assert!(reply.status == 404 && allows_nothing(&reply), "{reply:?}");
    let reply = server.response_to(json!(1)).await;
    assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
}

#[tokio::test]
async fn empty_origin_list_allows_every_origin() {
    let mut server = server_with_cors(&[], &["GET"]).await;
    let reply = fetch(server.addr, &preflight("https://any.test")).await;
    assert!(reply.has("access-control-allow-origin: *"), "{reply:?}");
    assert!(reply.has("access-control-allow-methods: get"), "{reply:?}");
    let own = json!({"headers": {"access-control-allow-origin": "https://b.test"}, "body": 1});
    let reply = server.response_to(own).await;
    assert!(reply.has("access-control-allow-origin: https://b.test"), "{reply:?}");
}

#[tokio::test]
async fn invalid_cors_settings_fail_the_start() {
    let settings = CorsSettings {
        allowed_origins: vec!["https://a.test/".to_owned()],
        ..CorsSettings::default()
    };
    let error = Engine::builder().http_cors(settings).start().await.unwrap_err();
    assert_eq!(error.code(), "invalid_configuration");
    assert!(error.message().contains("`https://a.test/`"), "{error}");
}
