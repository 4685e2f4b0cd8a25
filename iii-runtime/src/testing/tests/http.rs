//! Requests through the engine's own router.

use super::worker::*;
use crate::prelude::*;
use iii_wire::TriggerKind;

#[iii::test(only(create, announce, greet))]
async fn requests_go_through_the_router(iii: Harness) {
    iii.provide(Stock::default());
    let http = iii.http();
    let new = NewOrder { sku: "tea".into(), quantity: 2 };
    let created = http.post("/orders").json(&new).send().await;
    assert_eq!((created.status(), created.json::<Order>().id), (201, 1));
    assert_eq!(created.header("Content-Type"), Some("application/json"));
    let call = &iii.calls::<create>().await[0];
    assert_eq!((call.trigger(), call.input()), (Some(&TriggerKind::Http), new));
    assert_eq!(call.output().id, 1);

    let empty = http.post("/orders").json(&serde_json::json!({"sku": "a", "quantity": 0}));
    let empty = empty.send().await;
    assert_eq!(empty.status(), 422);
    assert_eq!(empty.json::<serde_json::Value>()["error"]["code"], "orders/empty");
    assert_eq!(http.get("/orders").send().await.status(), 405);
    assert_eq!(http.get("/nothing").send().await.status(), 404);
    let hello = http.get("/hello/Ada?x=1").header("x-from", "here").send().await;
    assert_eq!(hello.text(), r#""Hello, Ada from here""#);
    let greeted = &iii.calls::<greet>().await[0];
    assert_eq!(greeted.input().path_params["name"], "Ada");

    let mut streamed = http.get("/hello/Bob").stream().await;
    assert_eq!(streamed.status(), 200);
    assert_eq!(streamed.next().await.unwrap(), r#""Hello, Bob from nowhere""#);
    assert_eq!(streamed.next().await, None);
    let bad = http.post("/orders").header("content-type", "application/json").body("{").send();
    assert_eq!(bad.await.status(), 400);
}

#[iii::function(id = "t::teapot")]
#[iii::trigger(http, path = "/teapot")]
async fn teapot(_nothing: ()) -> Response {
    Response::new(42)
}

#[iii::test(only(teapot))]
async fn a_response_that_cannot_be_sent_is_told(iii: Harness) {
    let answer = iii.http().get("/teapot").send().await;
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.json::<serde_json::Value>()["error"]["code"], "invalid_response");
}
