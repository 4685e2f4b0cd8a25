#![deny(warnings, missing_docs)]
//! Stores of several shapes.

use iii::prelude::*;
use iii::stream::*;
use iii::{StreamStore, Update};

/// What is kept.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    text: String,
}

/// Keeps nothing.
pub struct Nothing;

/// Forgets all at once.
#[iii::stream(name = "void")]
impl StreamStore for Nothing {
    type Item = Item;

    async fn get(&self, _: StreamGetInput) -> iii::Result<Option<Item>> {
        Ok(None)
    }

    async fn set(&self, new: StreamSetInput<Item>) -> iii::Result<StreamSetResult<Item>> {
        Ok(StreamSetResult { old_value: None, new_value: new.data })
    }

    async fn delete(&self, _: StreamDeleteInput) -> iii::Result<StreamDeleteResult<Item>> {
        Ok(StreamDeleteResult { old_value: None })
    }

    async fn list(&self, _: StreamListInput) -> iii::Result<Vec<Item>> {
        Ok(Vec::new())
    }

    async fn list_groups(&self, _: StreamListGroupsInput) -> iii::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Of one type among several.
pub struct Boxed<T>(T);

#[iii::stream(name = "raw: of anything", description = "Gives back what it gets.")]
impl iii::StreamStore for Boxed<Vec<u8>> {
    type Item = Payload;

    async fn get(&self, at: StreamGetInput) -> iii::Result<Option<Payload>> {
        let _ = &self.0;
        Ok(Payload::new(&at).ok())
    }

    async fn set(&self, new: StreamSetInput<Payload>) -> iii::Result<StreamSetResult<Payload>> {
        Ok(StreamSetResult { old_value: None, new_value: new.data })
    }

    async fn delete(&self, _: StreamDeleteInput) -> iii::Result<StreamDeleteResult<Payload>> {
        Err(iii::Error::new("raw/no", "nothing is removed"))
    }

    async fn list(&self, _: StreamListInput) -> iii::Result<Vec<Payload>> {
        Ok(Vec::new())
    }

    async fn list_groups(&self, of: StreamListGroupsInput) -> iii::Result<Vec<String>> {
        Ok(vec![of.stream_name])
    }

    async fn update(
        &self,
        change: StreamUpdateInput,
    ) -> iii::Result<StreamUpdateResult<Payload>> {
        let ops: Update = change.ops;
        let updated = ops.apply(None::<&Payload>)?;
        Ok(StreamUpdateResult { old_value: None, new_value: updated.value, errors: updated.errors })
    }
}

/// Takes the store as a state.
#[iii::function(id = "app::look")]
pub async fn look(store: State<Nothing>) -> usize {
    let at = StreamListInput { stream_name: "void".into(), group_id: "g".into() };
    store.list(at).await.map_or(0, |items| items.len())
}

fn main() {
    let mut app = App::declared();
    assert!(app.catalogue().is_err(), "nobody provides the stores");
    app.state(Nothing).state(Boxed(vec![1u8]));
    let catalogue = app.catalogue().unwrap();
    let names: Vec<&str> = catalogue.stream_stores().iter().map(|one| one.name).collect();
    assert_eq!(names, ["raw: of anything", "void"]);
    assert_eq!(catalogue.stream_stores()[0].description, "Gives back what it gets.");
    assert!(catalogue.get("stream::update(void)").is_some());
    assert_eq!(catalogue.entries().len(), 13);
}
