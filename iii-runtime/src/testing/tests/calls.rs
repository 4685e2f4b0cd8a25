//! Calls, and what a test sees of them.

use super::worker::*;
use crate::prelude::*;
use iii_wire::TriggerKind;

#[iii::test(only(create, announce))]
async fn a_call_goes_through_the_engine(iii: Harness) -> iii::Result<()> {
    iii.provide(Stock::default());
    let order = iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 2 }).await?;
    assert_eq!(order, Order { id: 1, sku: "tea".into(), quantity: 2 });
    let raw: Order =
        iii.call_raw("t::create", &serde_json::json!({"sku": "rum", "quantity": 1})).await?;
    assert_eq!(raw.id, 2);

    let calls = iii.calls::<create>().await;
    assert_eq!((calls.len(), calls[0].input().sku.as_str()), (2, "tea"));
    assert_eq!((calls[1].output(), calls[0].trigger()), (raw, None));
    assert_eq!((calls[0].began(), calls[0].ended()), (iii.now(), Some(iii.now())));
    let heard = iii.calls::<announce>().await;
    assert_eq!((heard.len(), heard[1].output()), (2, 2));
    assert_eq!(heard[0].trigger(), Some(&TriggerKind::Subscribe));
    assert_eq!(iii.published("orders.created").await[0].data::<Order>(), order);
    assert!(iii.published("orders").await.is_empty());
    Ok(())
}

#[iii::test(only(create, announce))]
async fn an_error_keeps_its_code(iii: Harness) {
    iii.provide(Stock::default());
    let error = iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 0 }).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("orders/empty", 422));
    assert_eq!(iii.calls::<create>().await[0].error().unwrap().code(), "orders/empty");
    let error = iii.call_raw::<()>("t::create", &7).await.unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_PAYLOAD);
    assert_eq!(iii.calls_raw("t::create").await[1].input_raw().as_str(), "7");
    let error = iii.call_raw::<()>("t::missing", &()).await.unwrap_err();
    assert_eq!(error.code(), iii::code::FUNCTION_NOT_FOUND);
}

#[iii::test(only(double, slow_double))]
async fn calls_may_be_sent_queued_and_fired(iii: Harness) {
    iii.send::<double>(1).await.unwrap();
    iii.enqueue::<double>("default", 2).await.unwrap();
    let fired = iii.fire("t::double#1", &3).await.unwrap().unwrap();
    assert_eq!(fired.as_str(), "6");
    let outputs: Vec<u32> = iii.calls::<double>().await.iter().map(|one| one.output()).collect();
    assert_eq!(outputs, [2, 4, 6]);
    let kind = TriggerKind::Other("t::custom".to_owned());
    assert_eq!(iii.calls::<double>().await[2].trigger(), Some(&kind));
    let error = iii.fire("t::double#2", &3).await.unwrap_err();
    assert!(error.message().contains("`t::double#1` (t::custom)"), "{error}");

    iii.send::<slow_double>(4).await.unwrap();
    assert_eq!(iii.calls::<slow_double>().await[0].output(), 8);
    assert_eq!(iii.now(), super::start());
}

#[iii::test(only(double))]
async fn a_test_needs_no_step(_iii: Harness) {}

#[iii::test(only(double))]
async fn a_test_needs_no_harness() {
    assert_eq!(double(2).await, 4);
}

#[iii::test(only(create, announce), setup = set_up)]
async fn the_set_up_of_main_is_done_for_tests(iii: Harness) {
    let order = iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 2 }).await.unwrap();
    assert_eq!(order.id, 2, "one was there before");
    let later = std::panic::catch_unwind(|| iii.provide(Stock::default()));
    assert!(later.is_err());
}

#[iii::test(only(create, announce), setup = set_up)]
async fn what_the_test_provides_wins(iii: Harness) {
    iii.provide(Stock::default());
    let order = iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 2 }).await.unwrap();
    assert_eq!(order.id, 1);
}

async fn set_up(app: &mut App) -> iii::Result<()> {
    let order = Order { id: 1, sku: "rum".into(), quantity: 1 };
    app.state(Stock { orders: vec![order].into() });
    Ok(())
}

#[iii::test(only(slow_double, double), real_time)]
async fn time_may_be_real(iii: Harness) {
    let before = std::time::Instant::now();
    iii.send::<slow_double>(1).await.unwrap();
    assert_eq!(iii.calls::<slow_double>().await[0].output(), 2);
    assert!(before.elapsed() >= std::time::Duration::from_millis(5));
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
}
