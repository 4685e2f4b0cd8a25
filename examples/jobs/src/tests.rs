//! Tests of retries, dead letters and duplicate deliveries.

use std::sync::Arc;
use std::time::Duration;

use super::*;

fn mail(id: &str) -> Mail {
    Mail { id: id.into(), to: "ada@example.org".into(), text: "hello".into() }
}

/// Provides an outbox whose first `failures` sends fail.
fn outbox(iii: &Harness, failures: u32) -> Arc<Outbox> {
    iii.provide(Outbox { failures: failures.into(), ..Outbox::default() })
}

fn sent(outbox: &Outbox) -> Vec<Mail> {
    outbox.sent.lock().unwrap().clone()
}

#[iii::test]
async fn a_mail_is_retried_until_it_is_sent(iii: Harness) {
    let outbox = outbox(&iii, 2);
    let answer = iii.http().post("/mails").json(&mail("1")).send().await;
    assert_eq!(answer.status(), 204, "accepted before it is sent");
    assert!(sent(&outbox).is_empty());
    let begun = iii.now();
    iii.advance(Duration::from_secs(60)).await;
    assert_eq!(sent(&outbox), [mail("1")]);
    let tries: Vec<_> = iii.calls::<send>().await;
    let after = tries.iter().map(|one| one.began().duration_since(begun).unwrap().as_secs());
    assert_eq!(after.collect::<Vec<_>>(), [0, 2, 6]);
    assert_eq!(tries[2].attempt(), Some(3));
}

#[iii::test]
async fn a_mail_that_is_never_sent_becomes_a_dead_letter(iii: Harness) {
    let outbox = outbox(&iii, 100);
    iii.publish_durable("mails", &mail("1")).await.unwrap();
    iii.advance(Duration::from_secs(60)).await;
    let mails = iii.queue("mails").await;
    assert_eq!((mails.waiting, mails.dead.len(), mails.dead[0].attempts), (0, 1, 4));
    assert!(mails.dead[0].error.starts_with("mails/unavailable"), "{:?}", mails.dead);

    // The server recovers, and the dead letter is redriven.
    *outbox.failures.lock().unwrap() = 0;
    let redriven: Payload =
        iii.call_raw("iii::queue::redrive", &Topic { queue: "mails" }).await.unwrap();
    assert!(redriven.as_str().contains(r#""redriven":1"#), "{redriven:?}");
    assert!(iii.queue("mails").await.dead.is_empty());
    assert_eq!(sent(&outbox), [mail("1")]);
}

#[derive(Serialize)]
struct Topic {
    queue: &'static str,
}

#[iii::test]
async fn a_permanent_error_is_not_retried(iii: Harness) {
    outbox(&iii, 0);
    iii.publish_durable("mails", &Mail { to: "nobody".into(), ..mail("1") }).await.unwrap();
    assert_eq!(iii.queue("mails").await.dead.len(), 1);
    assert_eq!(iii.calls::<send>().await.len(), 1);
}

#[iii::test]
async fn a_duplicate_delivery_sends_one_mail(iii: Harness) {
    let outbox = outbox(&iii, 0);
    iii.duplicate_deliveries(true).await;
    iii.publish_durable("mails", &mail("1")).await.unwrap();
    iii.publish_durable("mails", &mail("2")).await.unwrap();
    assert_eq!(iii.calls::<send>().await.len(), 4);
    assert_eq!(sent(&outbox).len(), 2);
}
