//! Tests of the middleware of all routes: order, namespace and errors.

use super::*;

fn with_middleware(builder: &mut EngineBuilder) -> &mut EngineBuilder {
    builder
        .http_middleware("h::last", 5)
        .http_middleware("h::first", -5)
        .http_middleware("h::second", -5)
}

async fn continue_with(server: &mut TestServer, id: &str) {
    let call = server.worker.called().await;
    assert_eq!(call.function_id, id);
    server.worker.answer(&call, Ok(Some(Payload::from(json!({"action": "continue"})))));
}

async fn server_with_middleware(config: &str) -> TestServer {
    let server = TestServer::with(config, with_middleware).await;
    for id in ["h::first", "h::second", "h::last"] {
        server.worker.function(id);
    }
    server
}

#[tokio::test]
async fn middleware_runs_first_in_ascending_priority() {
    let config = r#"{"api_path":"/a","http_method":"POST","condition_function_id":"h::if","middleware_function_ids":["h::mid"]}"#;
    let mut server = server_with_middleware(config).await;
    let pending = send(server.addr, post("application/json", "{}"));
    for id in ["h::first", "h::second", "h::last", "h::if", "h::mid"] {
        continue_with(&mut server, id).await;
    }
    let call = server.worker.called().await;
    assert_eq!(call.function_id, "h::f");
    server.worker.answer(&call, Ok(None));
    assert_eq!(pending.await.unwrap().status, 204);
}

#[tokio::test]
async fn middleware_receives_the_request_without_body_and_may_respond() {
    let mut server = server_with_middleware(r#"{"api_path":"/a","http_method":"POST"}"#).await;
    // The body is not valid JSON, which shows only when it is read.
    let pending = send(server.addr, post("application/json", "{bad"));
    let call = server.worker.called().await;
    let input: Value = call.data.parse().unwrap();
    assert_eq!(
        (&input["phase"], &input["request"]["method"]),
        (&json!("preHandler"), &json!("POST"))
    );
    assert!(input["request"].get("body").is_none());
    assert_eq!(call.metadata, None);
    let output = json!({"action": "respond", "response": {"status_code": 401, "body": "who?"}});
    server.worker.answer(&call, Ok(Some(Payload::from(output))));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.json()), (401, json!("who?")));
    assert!(reply.has("access-control-allow-origin: *"));

    let pending = send(server.addr, post("application/json", "{bad"));
    for id in ["h::first", "h::second", "h::last"] {
        continue_with(&mut server, id).await;
    }
    assert_eq!(pending.await.unwrap().code(), "invalid_payload");
    server.worker.nothing_else().await;
}

#[tokio::test]
async fn middleware_error_becomes_the_response() {
    let mut server = server_with_middleware(ROUTE).await;
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    server.worker.answer(&call, Err(ErrorBody::new("auth/broken", "no")));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (500, "auth/broken"));
    // Missing middleware fails the request.
    server.worker.send(iii_wire::protocol::Message::UnregisterFunction { id: "h::first".into() });
    server.worker.nothing_else().await;
    let reply = fetch(server.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "function_not_found"));
    // Middleware does not run for requests without a route, nor for preflight requests.
    assert_eq!(fetch(server.addr, &GET.replace("/a", "/b")).await.status, 404);
    let preflight = GET
        .replace("GET", "OPTIONS")
        .replace("host: x", "host: x\r\norigin: http://p\r\naccess-control-request-method: GET");
    assert_eq!(fetch(server.addr, &preflight).await.status, 200);
}

#[tokio::test]
async fn middleware_timeout_has_status_504() {
    let mut server = TestServer::with(ROUTE, |builder| {
        with_middleware(builder).http_timeout(Duration::from_millis(50))
    })
    .await;
    server.worker.function("h::first");
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    assert_eq!(call.function_id, "h::first");
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (504, "MIDDLEWARE_TIMEOUT"));
}

#[tokio::test]
async fn middleware_runs_in_the_namespace_of_the_target() {
    let mut server = TestServer::with(ROUTE, |builder| builder.http_middleware("m::f", 0)).await;
    // This function is in `default`; the target of the route below is in `shop`.
    server.worker.function("m::f");
    server.worker.nothing_else().await;
    let mut shop = Worker::greeted(server.engine.local().connect().await.unwrap()).await;
    shop.announce("shop", "shop").await.unwrap();
    shop.function("m::f");
    shop.function("s::f");
    let binding = Worker::binding("s", "http", "s::f", r#"{"api_path":"/s"}"#);
    shop.send(iii_wire::protocol::Message::RegisterTrigger(Box::new(
        iii_wire::protocol::RegisterTrigger { namespace: Some("shop".into()), ..binding },
    )));
    shop.nothing_else().await;
    let pending = send(server.addr, GET.replace("/a", "/s"));
    for id in ["m::f", "s::f"] {
        let call = shop.called().await;
        assert_eq!(call.function_id, id);
        shop.answer(&call, Ok(None));
    }
    assert_eq!(pending.await.unwrap().status, 204);
    server.worker.nothing_else().await;
}
