//! What errors say of trying again, what queues make of it, and the letters that are left.

use std::sync::Mutex;
use std::time::Duration;

use super::start;
use crate::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, iii::Error)]
enum MailError {
    #[error(code = "mail/no-address", retryable = false)]
    NoAddress,
    #[error(code = "mail/busy", status = 429, retry_after = "90s")]
    Busy,
}

/// When each message was tried.
#[derive(Default)]
struct Tries {
    tried: Mutex<Vec<(String, std::time::SystemTime)>>,
}

#[iii::function(id = "r::mail")]
#[iii::trigger(queue, topic = "mail", max_retries = 1, backoff = "1s")]
#[iii::trigger(http, method = "POST", path = "/mail")]
async fn mail(kind: String, context: Context, tries: State<Tries>) -> iii::Result<()> {
    tries.tried.lock().unwrap().push((kind.clone(), context.now()));
    match kind.as_str() {
        "nowhere" => Err(MailError::NoAddress.into()),
        "busy" => Err(MailError::Busy.into()),
        "number" => Err(kind.parse::<u32>().map_err(iii::Error::permanent).unwrap_err()),
        "long" => Err(iii::Error::new("mail/full", "full").with_retry_after(Duration::MAX)),
        _ => Err(iii::Error::new("mail/failed", "failed")),
    }
}

impl Tries {
    fn of(&self, kind: &str) -> Vec<Duration> {
        let tries = self.tried.lock().unwrap();
        let of_kind = tries.iter().filter(|(one, _)| one == kind);
        of_kind.map(|(_, at)| at.duration_since(start()).unwrap()).collect()
    }
}

#[iii::test(only(mail))]
async fn a_queue_heeds_what_an_error_says(iii: Harness) {
    let tries = iii.provide(Tries::default());
    for kind in ["nowhere", "busy", "number", "long", "other"] {
        iii.publish_durable("mail", &kind).await.unwrap();
    }
    iii.settle().await;
    let queue = iii.client().queue("mail");
    let dead = queue.dead_letters().await.unwrap();
    let kinds: Vec<String> = dead.iter().map(|letter| letter.data().unwrap()).collect();
    assert_eq!(kinds, ["nowhere", "number"], "what is permanent is tried once");
    assert!(dead.iter().all(|letter| letter.attempts == 1));
    iii.advance(25 * 3600 * SECOND).await;
    assert_eq!(tries.of("other"), [Duration::ZERO, SECOND], "the pause of the queue");
    assert_eq!(tries.of("busy"), [Duration::ZERO, 90 * SECOND], "the pause of the error");
    assert_eq!(tries.of("long"), [Duration::ZERO, 24 * 3600 * SECOND], "no pause is longer");
    assert_eq!(
        queue.stats().await.unwrap().dead_letters,
        5,
        "the attempts of the queue still count"
    );
}

#[iii::test(only(mail))]
async fn a_response_says_when_to_come_back(iii: Harness) {
    iii.provide(Tries::default());
    let response = iii.http().post("/mail").json("busy").send().await;
    assert_eq!((response.status(), response.header("retry-after")), (429, Some("90")));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let error = response.json::<serde_json::Value>();
    assert_eq!(error["error"]["code"], "mail/busy");
    let response = iii.http().post("/mail").json("other").send().await;
    assert_eq!(response.header("retry-after"), None);
    let error = iii.call::<mail>("busy".into()).await.unwrap_err();
    assert_eq!((error.retryable(), error.retry_after()), (Some(true), Some(90 * SECOND)));
}

#[iii::test(only(mail))]
async fn dead_letters_are_listed_put_back_and_forgotten(iii: Harness) {
    let tries = iii.provide(Tries::default());
    for _ in 0..3 {
        iii.publish_durable("mail", &"nowhere").await.unwrap();
    }
    iii.settle().await;
    let client = iii.client();
    let queue = client.queue("mail");
    assert_eq!(queue.name(), "mail");
    let letters = queue.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0].error, "mail/no-address: no address");
    assert_eq!(letters[0].failed_at, start());
    assert_eq!(letters[0].data::<u32>().unwrap_err().code(), iii::code::INVALID_PAYLOAD);
    let page = queue.dead_letters().offset(1).limit(1).await.unwrap();
    assert_eq!(page, letters[1..2]);
    let listed = client.dead_letters().await.unwrap();
    assert!(listed.iter().any(|one| one.name == "mail" && one.dead_letters == 3), "{listed:?}");
    let listed = client.queues().await.unwrap();
    assert!(listed.iter().any(|one| one.name == "mail"), "{listed:?}");

    assert!(queue.discard(&letters[0].id).await.unwrap());
    assert!(!queue.discard(&letters[0].id).await.unwrap(), "it is gone");
    assert!(!queue.redrive_one("no id").await.unwrap());
    assert!(queue.redrive_one(&letters[1].id).await.unwrap());
    iii.settle().await;
    assert_eq!(tries.of("nowhere").len(), 4, "it was tried again");
    assert_eq!(queue.redrive().await.unwrap(), 2);
    iii.settle().await;
    assert_eq!(tries.of("nowhere").len(), 6);
    assert_eq!(queue.stats().await.unwrap().dead_letters, 2, "they fail again");
    let nothing = client.queue("").dead_letters().await.unwrap_err();
    assert_eq!(nothing.code(), "topic_required");
}

async fn set_up(app: &mut App) {
    let once = iii_engine::NamedQueue { max_retries: 1, ..Default::default() };
    app.queue("letters", once).state(Tries::default());
}

#[iii::test(only(mail), setup = set_up)]
async fn the_app_sets_up_a_named_queue(iii: Harness) {
    iii.enqueue::<mail>("letters", "other".into()).await.unwrap();
    iii.settle().await;
    assert_eq!(iii.queue("letters").await.dead.len(), 1, "one attempt is all it has");
    let error = iii.enqueue::<mail>("parcels", "other".into()).await.unwrap_err();
    assert_eq!(error.code(), "enqueue_error");
}
