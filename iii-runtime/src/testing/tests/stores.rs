//! Streams that the worker under test keeps itself.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use super::failed;
use crate::prelude::*;
use crate::stream::*;
use crate::testing::{StreamMessage, Test};
use crate::{App, Payload, Update, code};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Note {
    text: String,
    likes: i64,
}

fn note(text: &str, likes: i64) -> Note {
    Note { text: text.to_owned(), likes }
}

type Groups = BTreeMap<String, BTreeMap<String, Note>>;

/// Reading and writing takes time, as in a database.
#[derive(Default)]
struct Notes {
    groups: Mutex<Groups>,
    /// What is written takes so long.
    slow: Duration,
}

impl Notes {
    fn len(&self) -> usize {
        self.groups.lock().unwrap().values().map(BTreeMap::len).sum()
    }
}

/// Keeps notes.
#[iii::stream(name = "notes")]
impl crate::StreamStore for Notes {
    type Item = Note;

    async fn get(&self, at: StreamGetInput) -> crate::Result<Option<Note>> {
        let found = {
            let groups = self.groups.lock().unwrap();
            groups.get(&at.group_id).and_then(|group| group.get(&at.item_id)).cloned()
        };
        tokio::time::sleep(self.slow).await;
        Ok(found)
    }

    async fn set(&self, new: StreamSetInput<Note>) -> crate::Result<StreamSetResult<Note>> {
        assert_ne!(new.data.text, "panic");
        if new.data.text.is_empty() {
            return Err(crate::Error::new("notes/empty", "a note has text").with_status(422));
        }
        tokio::time::sleep(self.slow).await;
        let mut groups = self.groups.lock().unwrap();
        let group = groups.entry(new.group_id).or_default();
        let old_value = group.insert(new.item_id, new.data.clone());
        Ok(StreamSetResult { old_value, new_value: new.data })
    }

    async fn delete(&self, at: StreamDeleteInput) -> crate::Result<StreamDeleteResult<Note>> {
        let mut groups = self.groups.lock().unwrap();
        let group = groups.get_mut(&at.group_id);
        Ok(StreamDeleteResult { old_value: group.and_then(|group| group.remove(&at.item_id)) })
    }

    async fn list(&self, at: StreamListInput) -> crate::Result<Vec<Note>> {
        let groups = self.groups.lock().unwrap();
        Ok(groups.get(&at.group_id).into_iter().flat_map(|g| g.values().cloned()).collect())
    }

    async fn list_groups(&self, of: StreamListGroupsInput) -> crate::Result<Vec<String>> {
        assert_eq!(of.stream_name, "notes");
        Ok(self.groups.lock().unwrap().keys().cloned().collect())
    }
}

#[iii::function(id = "t::on_note")]
#[iii::trigger(stream, name = "notes")]
async fn on_note(_event: StreamEvent<Note>) {}

#[iii::test(only(on_note))]
async fn a_store_is_asked_and_everybody_hears_of_changes(iii: Harness) -> iii::Result<()> {
    let store = iii.provide(Notes::default());
    let notes = iii.stream::<Note>("notes").group("ann");
    let mut subscriber = iii.subscribe::<Note>("notes", "ann").await;
    assert_eq!(subscriber.received().await, [StreamMessage::Sync(Vec::new())]);

    let change = notes.set("1", &note("tea", 0)).await?;
    assert_eq!((change.old_value, change.new_value), (None, Some(note("tea", 0))));
    assert_eq!(store.len(), 1, "the engine keeps nothing itself");
    let update = Update::new().increment("likes", 2).append("text", "!").increment("text", 1);
    let change = notes.update("1", update).await?;
    assert_eq!(change.old_value, Some(note("tea", 0)));
    assert_eq!(change.new_value, Some(note("tea!", 2)));
    assert_eq!(change.errors.len(), 1);
    assert_eq!(change.errors[0].code, "increment.not_number");
    assert_eq!(notes.get("1").await?, Some(note("tea!", 2)));
    assert_eq!(notes.get("2").await?, None);
    assert_eq!(notes.list().await?, [note("tea!", 2)]);
    assert_eq!(iii.stream::<Note>("notes").list_groups().await?, ["ann"]);
    notes.send("typing", &"Ann").await?;
    assert_eq!(notes.delete("1").await?, Some(note("tea!", 2)));
    assert_eq!(notes.delete("1").await?, None);
    assert_eq!(store.len(), 0);

    let item = || "1".to_owned();
    assert_eq!(
        subscriber.received().await,
        [
            StreamMessage::Create { item: item(), data: note("tea", 0) },
            StreamMessage::Update { item: item(), data: note("tea!", 2) },
            StreamMessage::Event { kind: "typing".to_owned(), data: Payload::from(json!("Ann")) },
            StreamMessage::Delete { item: item(), data: note("tea!", 2) },
        ]
    );
    let told = iii.calls::<on_note>().await;
    assert_eq!(told.len(), 4);
    assert!(
        told.iter().any(|one| one.input().event == StreamChange::Create { data: note("tea", 0) })
    );
    let asked = iii.calls_raw("stream::update(notes)").await;
    assert_eq!(asked.len(), 1, "it is a function like others");
    assert_eq!(iii.calls_raw("stream::set(notes)").await.len(), 1);
    Ok(())
}

#[iii::test(only(on_note))]
async fn a_store_fails_like_a_function(iii: Harness) {
    let store = iii.provide(Notes::default());
    let notes = iii.stream::<Note>("notes").group("ann");
    let error = notes.set("1", &note("", 0)).await.unwrap_err();
    assert_eq!(error.code(), "notes/empty");
    assert_eq!(notes.set("1", &note("panic", 0)).await.unwrap_err().code(), code::PANIC);
    let raw = iii.stream::<Payload>("notes").group("ann");
    let misfit = raw.set("1", &Payload::from(json!({"text": 7}))).await.unwrap_err();
    assert_eq!(misfit.code(), code::INVALID_PAYLOAD);
    notes.set("1", &note("tea", 0)).await.unwrap();
    let misfit = notes.update("1", Update::new().set("likes", "many")).await.unwrap_err();
    assert_eq!(misfit.code(), code::INVALID_PAYLOAD);
    let nothing = notes.update("2", Update::new().increment("likes", 1)).await.unwrap_err();
    assert_eq!(nothing.code(), code::INVALID_PAYLOAD);
    assert_eq!(notes.get("1").await.unwrap(), Some(note("tea", 0)), "nothing was changed");
    assert_eq!(store.len(), 1);
    assert_eq!(iii.calls::<on_note>().await.len(), 1, "what failed is not told");
}

#[iii::test(only(on_note))]
async fn no_update_is_lost(iii: Harness) {
    iii.provide(Notes { slow: Duration::from_millis(5), ..Notes::default() });
    let notes = iii.stream::<Note>("notes").group("ann");
    notes.set("1", &note("tea", 0)).await.unwrap();
    let updates = (0..10).map(|_| {
        let update = notes.update("1", Update::new().increment("likes", 1));
        tokio::spawn(update.into_future())
    });
    for update in updates.collect::<Vec<_>>() {
        update.await.unwrap().unwrap();
    }
    assert_eq!(notes.get("1").await.unwrap(), Some(note("tea", 10)));
}

#[iii::test(only(on_note))]
async fn without_the_store_the_engine_keeps_the_stream(iii: Harness) {
    let notes = iii.stream::<Note>("notes");
    notes.set("ann", "1", &note("tea", 0)).await.unwrap();
    assert!(iii.calls_raw("stream::set(notes)").await.is_empty());
}

#[test]
fn an_app_says_what_it_keeps_and_what_is_missing() {
    let mut app = App::new();
    app.stream_store::<Notes>().stream_store::<Notes>();
    let problems = app.catalogue().unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.iter().count(), 1, "{text}");
    let problem = problems.iter().next().unwrap();
    assert!(problem.message.contains("Notes`") && problem.locations.len() == 1, "{text}");
    assert!(text.contains("tests/stores.rs:"), "{text}");

    let catalogue = app.state(Notes::default()).catalogue().unwrap();
    let ids: Vec<&str> = catalogue.entries().iter().map(|entry| entry.function.id).collect();
    let all = ["delete", "get", "list", "list_groups", "set", "update"];
    assert_eq!(ids, all.map(|operation| format!("stream::{operation}(notes)")));
    let set = catalogue.get("stream::set(notes)").unwrap();
    assert_eq!(set.function.description, Some("Sets an item of the stream. Keeps notes."));
    let schema: serde_json::Value = set.input_schema.as_ref().unwrap().parse().unwrap();
    assert_eq!(schema["required"], json!(["stream_name", "group_id", "item_id", "data"]));
    let update = catalogue.get("stream::update(notes)").unwrap();
    let schema = update.input_schema.as_ref().unwrap().as_str();
    assert!(schema.contains("increment"), "{schema}");
}

#[test]
fn two_stores_of_one_stream_are_a_problem() {
    struct Other;
    impl crate::StreamStore for Other {
        const NAME: &'static str = "notes";
        type Item = u8;
        async fn get(&self, _: StreamGetInput) -> crate::Result<Option<u8>> {
            Ok(None)
        }
        async fn set(&self, new: StreamSetInput<u8>) -> crate::Result<StreamSetResult<u8>> {
            Ok(StreamSetResult { old_value: None, new_value: new.data })
        }
        async fn delete(&self, _: StreamDeleteInput) -> crate::Result<StreamDeleteResult<u8>> {
            Ok(StreamDeleteResult { old_value: None })
        }
        async fn list(&self, _: StreamListInput) -> crate::Result<Vec<u8>> {
            Ok(Vec::new())
        }
        async fn list_groups(&self, _: StreamListGroupsInput) -> crate::Result<Vec<String>> {
            Ok(Vec::new())
        }
    }
    let mut app = App::new();
    app.stream_store::<Notes>().stream_store::<Other>().state(Notes::default()).state(Other);
    let problems = app.catalogue().unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.iter().count(), 1, "{text}");
    assert!(text.contains("the stream `notes` is declared 2 times"), "{text}");
    assert_eq!(problems.iter().next().unwrap().locations.len(), 2);
}

#[test]
fn a_test_with_everything_needs_the_store() {
    let text = failed(|| {
        let test = Test::new("all").setup(|app| {
            Box::pin(async move {
                app.stream_store::<Notes>();
                Ok(())
            })
        });
        test.run(|iii| async move { iii.settle().await });
    });
    assert!(text.contains("is not provided") && text.contains("Notes`"), "{text}");
}
