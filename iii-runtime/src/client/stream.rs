//! Streams: items of one type by group, and events that are not kept (protocol section 6.3).

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client};
use crate::update::{WriteResult, Update};

/// One stream. Made by [`Client::stream`].
///
/// Whoever is subscribed to the stream, and every function with a `stream` trigger for it, hears of each change.
#[derive(Debug)]
pub struct StreamClient<T> {
    pub(super) client: Client,
    name: String,
    items: PhantomData<fn() -> T>,
}

#[derive(Serialize)]
struct Stream<'a> {
    stream_name: &'a str,
}

#[derive(Serialize)]
struct Group<'a> {
    stream_name: &'a str,
    group_id: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    stream_name: &'a str,
    group_id: &'a str,
    item_id: &'a str,
}

impl<T> StreamClient<T> {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name, items: PhantomData }
    }

    /// The name of the stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn place<'a>(&'a self, group_id: &'a str) -> Group<'a> {
        Group { stream_name: &self.name, group_id }
    }

    fn item<'a>(&'a self, group_id: &'a str, item_id: &'a str) -> Item<'a> {
        Item { stream_name: &self.name, group_id, item_id }
    }

    /// Tells those who hear of a group of an event that is not kept, such as that somebody is typing.
    pub fn send(&self, group: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        #[derive(Serialize)]
        struct Input<'a, D: ?Sized> {
            #[serde(flatten)]
            group: Group<'a>,
            r#type: &'a str,
            data: &'a D,
        }
        self.client.builtin("stream::send", &Input { group: self.place(group), r#type: kind, data })
    }

    /// The groups of the stream that hold something, in order.
    pub fn list_groups(&self) -> Call<Vec<String>> {
        self.client.builtin("stream::list_groups", &Stream { stream_name: &self.name })
    }
}

impl<T: DeserializeOwned> StreamClient<T> {
    /// Reads an item; `None` if there is none.
    pub fn get(&self, group: &str, item: &str) -> Call<Option<T>> {
        self.client.builtin("stream::get", &self.item(group, item))
    }

    /// Sets an item, whatever was there before.
    pub fn set(&self, group: &str, item: &str, data: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        #[derive(Serialize)]
        struct Input<'a, T> {
            #[serde(flatten)]
            item: Item<'a>,
            data: &'a T,
        }
        self.client.builtin("stream::set", &Input { item: self.item(group, item), data })
    }

    /// Changes parts of an item in one step, so that two writers never undo each other. An item that is missing counts as
    /// `{}`.
    ///
    /// An operation that cannot be done is left out, and named in [`WriteResult::errors`].
    pub fn update(&self, group: &str, item: &str, update: Update) -> Call<WriteResult<T>> {
        #[derive(Serialize)]
        struct Input<'a> {
            #[serde(flatten)]
            item: Item<'a>,
            ops: Update,
        }
        let input = Input { item: self.item(group, item), ops: update };
        self.client.builtin("stream::update", &input)
    }

    /// Removes an item, and gives it.
    pub fn delete(&self, group: &str, item: &str) -> Call<Option<T>>
    where
        T: 'static,
    {
        #[derive(Deserialize)]
        struct Deleted<T> {
            old_value: Option<T>,
        }
        self.client.reading("stream::delete", &self.item(group, item), |answer| {
            answer.parse::<Deleted<T>>().map(|answer| answer.old_value)
        })
    }

    /// All items of a group, without their ids, the oldest first.
    pub fn list(&self, group: &str) -> Call<Vec<T>> {
        self.client.builtin("stream::list", &self.place(group))
    }
}

impl<T> Clone for StreamClient<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.name.clone())
    }
}
