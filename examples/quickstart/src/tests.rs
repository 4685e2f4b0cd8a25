//! Tests of the orders, the subscriber and the report.

use std::time::Duration;

use super::*;

#[iii::test]
async fn an_order_is_created_announced_and_read(iii: Harness) {
    iii.provide(Orders::default());
    let new = NewOrder { sku: "tea".into(), quantity: 2 };
    let created = iii.http().post("/orders").json(&new).send().await;
    assert_eq!(created.status(), 201);
    let order: Order = created.json();
    assert_eq!(iii.calls::<announce>().await[0].input().sku, "tea");
    let read = iii.call::<get>(GetOrder { id: order.id }).await.unwrap();
    assert_eq!((read.id, read.quantity), (1, 2));
}

#[iii::test(setup = set_up)]
async fn an_empty_order_is_rejected(iii: Harness) {
    let error = iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 0 }).await.unwrap_err();
    assert_eq!(error.code(), "orders/empty");
    assert_eq!(iii.http().get("/orders/7").send().await.status(), 404);
    assert!(iii.calls::<announce>().await.is_empty());
}

#[iii::test(setup = set_up)]
async fn the_report_runs_every_ten_seconds(iii: Harness) {
    iii.advance(Duration::from_secs(60)).await;
    assert_eq!(iii.calls::<report>().await.len(), 6);
}
