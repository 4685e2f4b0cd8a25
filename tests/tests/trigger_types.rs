//! Trigger types of workers: bound from other workers, refused, fired with a condition, and ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use iii::engine::Engine;
use iii::prelude::*;
use iii::{Emitter, Running, TriggerType};
use iii_tests::{Peer, until, within};
use serde_json::json;

/// Letters that come to a box.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    folder: String,
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Letter {
    text: String,
    important: bool,
}

/// Who gets the letters of each folder.
type Folders = Arc<Mutex<HashMap<String, Vec<Emitter<Letter>>>>>;

/// Fires when a letter comes.
#[iii::trigger_type(id = "mail")]
impl TriggerType for Mail {
    type Event = Letter;

    async fn check(&self, _: &Emitter<Letter>) -> iii::Result<()> {
        if self.folder == "spam" {
            return Err(iii::Error::new("mail/no-spam", "nobody wants spam"));
        }
        Ok(())
    }

    async fn run(self, emitter: Emitter<Letter>) -> iii::Result<()> {
        struct Leave(Folders, String);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.lock().unwrap().remove(&self.1);
            }
        }
        let folders = emitter.state::<Folders>()?;
        folders.lock().unwrap().entry(self.folder.clone()).or_default().push(emitter);
        let _leave = Leave(folders.as_ref().clone(), self.folder);
        std::future::pending().await
    }
}

/// A worker that provides a type may serve functions, too.
#[iii::function(id = "mail::deliver")]
async fn deliver(letter: Letter, folders: State<Folders>) -> iii::Result<Vec<Option<String>>> {
    let emitters = folders.lock().unwrap().get("inbox").cloned().unwrap_or_default();
    let mut answers = Vec::new();
    for emitter in emitters {
        answers.push(emitter.call(&letter).await?);
    }
    Ok(answers)
}

#[iii::function(id = "inbox::is-important")]
async fn is_important(letter: Letter) -> bool {
    letter.important
}

/// Reads letters.
#[iii::function(id = "inbox::read")]
#[iii::trigger(Mail { folder: "inbox".to_owned() }, condition = is_important, metadata = "mine")]
async fn read(letter: Letter, context: Context, Metadata(owner): Metadata<String>) -> String {
    let kind = context.trigger().expect("a trigger fired").kind.to_string();
    format!("{owner} {kind} {}", letter.text)
}

async fn engine() -> (Engine, String) {
    let engine =
        Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
    let url = format!("ws://{}", engine.worker_addr().unwrap());
    (engine, url)
}

async fn post_office(url: &str, folders: &Folders) -> Running {
    let mut app = App::new();
    app.url(url).name("post").state(folders.clone());
    app.trigger_type::<Mail>().function::<deliver>().start().await.unwrap()
}

#[tokio::test]
async fn a_type_fires_for_other_workers_until_they_leave() {
    let (_engine, url) = engine().await;
    let folders = Folders::default();
    let post = post_office(&url, &folders).await;
    let mut reader = App::new();
    reader.url(&url).name("reader").function::<read>().function::<is_important>();
    let mut reader = reader.start().await.unwrap();
    assert_eq!(reader.waiting().count(), 0);
    until("the binding", || folders.lock().unwrap().contains_key("inbox")).await;

    let client = post.client();
    let letter = |text: &str, important| Letter { text: text.to_owned(), important };
    let answers = client.call::<deliver>(letter("hello", true)).await.unwrap();
    assert_eq!(answers, [Some("mine mail hello".to_owned())]);
    let answers = client.call::<deliver>(letter("bye", false)).await.unwrap();
    assert_eq!(answers, [None], "the condition says no");

    reader.drain().await.unwrap();
    until("the end of the binding", || folders.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn other_languages_bind_by_the_id_and_are_told_what_is_wrong() {
    let (_engine, url) = engine().await;
    let folders = Folders::default();
    let mut post = post_office(&url, &folders).await;
    let mut peer = Peer::connect(&url).await;
    peer.next_of("workerregistered").await;
    peer.call("engine::workers::register", json!({"name": "peer", "pid": 1})).await.unwrap();
    let info = peer.call("engine::triggers::info", json!({"id": "mail"})).await.unwrap();
    assert_eq!(info["description"], "Fires when a letter comes.");
    assert_eq!(info["configuration_schema"]["required"], json!(["folder"]));
    assert_eq!(info["request_schema"]["required"], json!(["text", "important"]));

    for (id, config, wrong) in [
        ("a", json!({"folder": "spam"}), "nobody wants spam"),
        ("b", json!({"folder": 7}), "invalid type"),
        ("c", json!(null), "missing field `folder`"),
        ("d", json!({"folder": "x", "typo": 1}), "unknown field `typo`"),
    ] {
        let bind = json!({
            "type": "registertrigger", "id": id, "trigger_type": "mail", "function_id": "peer::f",
            "config": config,
        });
        peer.send(bind).await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(wrong), "{message}");
    }
    // A condition is no unknown field.
    let bind = json!({
        "type": "registertrigger", "id": "e", "trigger_type": "mail", "function_id": "peer::f",
        "config": {"folder": "work", "condition_function_id": "peer::when"},
    });
    peer.send(bind).await;
    until("the binding", || folders.lock().unwrap().contains_key("work")).await;
    peer.send(json!({"type": "unregistertrigger", "id": "e"})).await;
    until("the end of the binding", || folders.lock().unwrap().is_empty()).await;
    post.drain().await.unwrap();
}

#[tokio::test]
async fn bindings_come_back_after_a_lost_link_and_end_with_the_worker() {
    let (engine, url) = engine().await;
    let folders = Folders::default();
    let mut post = post_office(&url, &folders).await;
    let port = engine.worker_addr().unwrap().port();
    let mut reader = App::new();
    reader.url(&url).name("reader").function::<read>().function::<is_important>();
    let _reader = reader.start().await.unwrap();
    until("the binding", || folders.lock().unwrap().contains_key("inbox")).await;
    engine.stop().await;
    drop(engine);
    let mut again = Engine::builder();
    again.worker_port(port).http_port(0).stream_port(0);
    let _again = within("the same port", again.start()).await.unwrap();
    let letter = || Letter { text: "again".to_owned(), important: true };
    let mut answers = Vec::new();
    // The two workers come back one after the other.
    within("both workers", async {
        while answers.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            answers = post.client().call::<deliver>(letter()).await.unwrap_or_default();
        }
    })
    .await;
    assert_eq!(answers, [Some("mine mail again".to_owned())]);
    post.drain().await.unwrap();
    assert!(folders.lock().unwrap().is_empty(), "nothing runs for a trigger any more");
}
