//! Tests of the hooks and of the function bound to one.

use iii::testing::HttpAnswer;

use super::*;

async fn post(iii: &Harness, hook: &str, token: &str, payment: &Payment) -> HttpAnswer {
    let call = iii.http().post(&format!("/hooks/{hook}")).header("x-hook-token", token);
    call.json(payment).send().await
}

#[iii::test]
async fn a_payment_is_stored_and_published_once(iii: Harness) -> iii::Result<()> {
    iii.provide(Hooks::default());
    let payment = Payment { order: 7, cents: 350 };
    for _ in 0..2 {
        let answer = post(&iii, "payments", "sesame", &payment).await;
        assert_eq!((answer.status(), answer.text()), (200, "7"));
    }
    assert_eq!(iii.state::<Payment>("payments").get("7").await?, Some(payment.clone()));
    let told = iii.published("payments.arrived").await;
    assert_eq!((told.len(), told[0].data::<Payment>()), (1, payment));
    let kind = iii::trigger::TriggerKind::Other("webhook".into());
    assert_eq!(iii.calls::<arrived>().await[0].trigger(), Some(&kind));
    Ok(())
}

#[iii::test]
async fn the_sender_receives_the_error_of_the_function(iii: Harness) {
    iii.provide(Hooks::default());
    let answer = post(&iii, "payments", "sesame", &Payment { order: 7, cents: 0 }).await;
    assert_eq!(answer.status(), 422, "{}", answer.text());
    assert!(answer.text().contains("payments/empty"), "{}", answer.text());
    assert!(iii.published("payments.arrived").await.is_empty());
}

#[iii::test]
async fn invalid_tokens_and_unknown_hooks_are_rejected(iii: Harness) {
    iii.provide(Hooks::default());
    let payment = Payment { order: 7, cents: 350 };
    assert_eq!(post(&iii, "payments", "guess", &payment).await.status(), 403);
    assert_eq!(post(&iii, "refunds", "sesame", &payment).await.status(), 404);
    assert!(iii.calls::<arrived>().await.is_empty());
}

#[iii::test]
async fn a_hook_reopens_after_a_reconnect(iii: Harness) {
    let hooks = iii.provide(Hooks::default());
    iii.settle().await;
    assert!(bound(&hooks, "payments").is_some());
    iii.drop_connection().await;
    iii.connected().await;
    iii.settle().await;
    let again = post(&iii, "payments", "sesame", &Payment { order: 7, cents: 350 }).await;
    assert_eq!(again.status(), 200, "{}", again.text());
}

#[iii::test]
async fn a_trigger_fires_without_its_provider(iii: Harness) -> iii::Result<()> {
    iii.provide(Hooks::default());
    let order = iii.fire("payments::arrived#1", &Payment { order: 7, cents: 350 }).await?;
    assert_eq!(order.unwrap().as_str(), "7");
    Ok(())
}
