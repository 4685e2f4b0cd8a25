//! Tests of the middleware of all routes: its order, its namespace, and what becomes of its errors.

use super::*;
use crate::EngineBuilder;

fn global(site: EngineBuilder) -> EngineBuilder {
    site.http_middleware("h::last", 5)
        .http_middleware("h::first", -5)
        .http_middleware("h::second", -5)
}

async fn go_on(site: &mut Site, id: &str) {
    let call = site.worker.called().await;
    assert_eq!(call.function_id, id);
    site.worker.answer(&call, Ok(Some(Payload::from(json!({"action": "continue"})))));
}

async fn site(config: &str) -> Site {
    let site = Site::with(config, global).await;
    for id in ["h::first", "h::second", "h::last"] {
        site.worker.function(id);
    }
    site
}

#[tokio::test]
async fn it_comes_before_everything_else_in_ascending_priority() {
    let config = r#"{"api_path":"/a","http_method":"POST","condition_function_id":"h::if","middleware_function_ids":["h::mid"]}"#;
    let mut site = site(config).await;
    let pending = send(site.addr, post("application/json", "{}"));
    for id in ["h::first", "h::second", "h::last", "h::if", "h::mid"] {
        go_on(&mut site, id).await;
    }
    let call = site.worker.called().await;
    assert_eq!(call.function_id, "h::f");
    site.worker.answer(&call, Ok(None));
    assert_eq!(pending.await.unwrap().status, 204);
}

#[tokio::test]
async fn it_sees_the_request_without_its_body_and_may_answer_it() {
    let mut site = site(r#"{"api_path":"/a","http_method":"POST"}"#).await;
    // Its body is no JSON, which is found out only when it is read.
    let pending = send(site.addr, post("application/json", "{bad"));
    let call = site.worker.called().await;
    let seen: Value = call.data.parse().unwrap();
    assert_eq!(
        (&seen["phase"], &seen["request"]["method"]),
        (&json!("preHandler"), &json!("POST"))
    );
    assert!(seen["request"].get("body").is_none());
    assert_eq!(call.metadata, None);
    let verdict = json!({"action": "respond", "response": {"status_code": 401, "body": "who?"}});
    site.worker.answer(&call, Ok(Some(Payload::from(verdict))));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.json()), (401, json!("who?")));
    assert!(reply.has("access-control-allow-origin: *"));

    let pending = send(site.addr, post("application/json", "{bad"));
    for id in ["h::first", "h::second", "h::last"] {
        go_on(&mut site, id).await;
    }
    assert_eq!(pending.await.unwrap().code(), "invalid_payload");
    site.worker.nothing_else().await;
}

#[tokio::test]
async fn its_error_is_the_answer() {
    let mut site = site(ROUTE).await;
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    site.worker.answer(&call, Err(ErrorBody::new("auth/broken", "no")));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (500, "auth/broken"));
    // One that is missing lets nobody through.
    site.worker.send(iii_wire::protocol::Message::UnregisterFunction { id: "h::first".into() });
    site.worker.nothing_else().await;
    let reply = ask(site.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "function_not_found"));
    // What has no route is not its business, nor is a browser's question.
    assert_eq!(ask(site.addr, &GET.replace("/a", "/b")).await.status, 404);
    let preflight = GET
        .replace("GET", "OPTIONS")
        .replace("host: x", "host: x\r\norigin: http://p\r\naccess-control-request-method: GET");
    assert_eq!(ask(site.addr, &preflight).await.status, 200);
}

#[tokio::test]
async fn a_slow_one_is_given_up() {
    let builder = |builder| global(builder).http_timeout(Duration::from_millis(50));
    let mut site = Site::with(ROUTE, builder).await;
    site.worker.function("h::first");
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    assert_eq!(call.function_id, "h::first");
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (504, "MIDDLEWARE_TIMEOUT"));
}

#[tokio::test]
async fn it_runs_in_the_namespace_of_the_target() {
    let builder = |builder: EngineBuilder| builder.http_middleware("m::f", 0);
    let mut site = Site::with(ROUTE, builder).await;
    // This one is in `default`, where the target of the route below is not.
    site.worker.function("m::f");
    site.worker.nothing_else().await;
    let mut shop = Worker::greeted(site.engine.local().connect().await.unwrap()).await;
    shop.announce("shop", "shop").await.unwrap();
    shop.function("m::f");
    shop.function("s::f");
    let binding = Worker::binding("s", "http", "s::f", r#"{"api_path":"/s"}"#);
    shop.send(iii_wire::protocol::Message::RegisterTrigger(Box::new(
        iii_wire::protocol::RegisterTrigger { namespace: Some("shop".into()), ..binding },
    )));
    shop.nothing_else().await;
    let pending = send(site.addr, GET.replace("/a", "/s"));
    for id in ["m::f", "s::f"] {
        let call = shop.called().await;
        assert_eq!(call.function_id, id);
        shop.answer(&call, Ok(None));
    }
    assert_eq!(pending.await.unwrap().status, 204);
    site.worker.nothing_else().await;
}
