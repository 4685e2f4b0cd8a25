//! The trigger fires, though nobody provides its type.

use super::*;

#[iii::test]
async fn a_payment_is_noted_and_told_once(iii: Harness) -> iii::Result<()> {
    let payment = Payment { order: 7, cents: 350 };
    for _ in 0..2 {
        let order = iii.fire("payments::arrived#1", &payment).await?;
        assert_eq!(order.unwrap().as_str(), "7");
    }
    assert_eq!(iii.state::<Payment>("payments").get("7").await?, Some(payment.clone()));
    let told = iii.published("payments.arrived").await;
    assert_eq!((told.len(), told[0].data::<Payment>()), (1, payment));
    let kind = iii::trigger::TriggerKind::Other("webhook".into());
    assert_eq!(iii.calls::<arrived>().await[0].trigger(), Some(&kind));
    Ok(())
}

#[iii::test]
async fn a_payment_of_nothing_is_refused(iii: Harness) {
    let nothing = Payment { order: 7, cents: 0 };
    let error = iii.fire("payments::arrived#1", &nothing).await.unwrap_err();
    assert_eq!(error.code(), "payments/empty");
    assert!(iii.published("payments.arrived").await.is_empty());
}
