//! Tests of what browsers are told about pages of other hosts.

use super::*;
use crate::CorsSettings;

async fn site(origins: &[&str], methods: &[&str]) -> Site {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let settings =
        CorsSettings { allowed_origins: owned(origins), allowed_methods: owned(methods) };
    Site::with(ROUTE, |builder| builder.http_cors(settings)).await
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
async fn a_page_of_the_list_may_ask_and_read() {
    let mut site = site(&["https://a.test", "http://b.test:8080"], &["GET", "put"]).await;
    for origin in ["https://a.test", "http://b.test:8080"] {
        let reply = ask(site.addr, &preflight(origin)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert!(reply.has(&format!("access-control-allow-origin: {origin}")), "{reply:?}");
        assert!(reply.has("access-control-allow-methods: get, put"), "{reply:?}");
        assert!(reply.has("access-control-allow-headers: x-a, x-b"), "{reply:?}");
        assert!(reply.has(VARY), "{reply:?}");
        let (reply, _) = site.served(&with_origin(GET, origin), Ok(Some(json!(1)))).await;
        assert!(reply.has(&format!("access-control-allow-origin: {origin}")), "{reply:?}");
        assert!(reply.has("access-control-expose-headers: *") && reply.has(VARY), "{reply:?}");
    }
}

#[tokio::test]
async fn a_foreign_page_gets_no_permission_whatever_a_function_says() {
    let mut site = site(&["https://a.test"], &[]).await;
    for origin in ["https://evil.test", "https://a.test.evil.test", "http://a.test", "null"] {
        let reply = ask(site.addr, &preflight(origin)).await;
        assert_eq!(reply.status, 200);
        assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
        let own = json!({"headers": {"access-control-allow-origin": "*"}, "body": 1});
        let (reply, _) = site.served(&with_origin(GET, origin), Ok(Some(own))).await;
        assert_eq!(reply.status, 200, "the request itself is served");
        assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
    }
    // Also where the engine itself answers, and where no page asks.
    let reply = ask(site.addr, &with_origin(&GET.replace("/a", "/b"), "https://evil.test")).await;
    assert!(reply.status == 404 && allows_nothing(&reply), "{reply:?}");
    let reply = site.result(json!(1)).await;
    assert!(allows_nothing(&reply) && reply.has(VARY), "{reply:?}");
}

#[tokio::test]
async fn without_a_list_of_origins_every_page_may_use_the_methods() {
    let mut site = site(&[], &["GET"]).await;
    let reply = ask(site.addr, &preflight("https://any.test")).await;
    assert!(reply.has("access-control-allow-origin: *"), "{reply:?}");
    assert!(reply.has("access-control-allow-methods: get"), "{reply:?}");
    let own = json!({"headers": {"access-control-allow-origin": "https://b.test"}, "body": 1});
    let reply = site.result(own).await;
    assert!(reply.has("access-control-allow-origin: https://b.test"), "{reply:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_do_not_start() {
    let settings = CorsSettings {
        allowed_origins: vec!["https://a.test/".to_owned()],
        ..CorsSettings::default()
    };
    let error = Engine::builder().http_cors(settings).start().await.unwrap_err();
    assert_eq!(error.code(), "invalid_configuration");
    assert!(error.message().contains("`https://a.test/`"), "{error}");
}
