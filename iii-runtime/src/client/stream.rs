//! The client of a stream: items of one type, by group, and events that are not stored ([protocol 6.3](crate::protocol#s6-3)).

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client};
use crate::update::{Update, WriteResult};

/// A stream. Created by [`Client::stream`].
///
/// All subscribers of the stream, and all functions with a `stream` trigger for it, receive its changes.
#[derive(Debug)]
pub struct StreamClient<T> {
    pub(super) client: Client,
    name: String,
    items: PhantomData<fn() -> T>,
}

#[derive(Serialize)]
struct StreamKey<'a> {
    stream_name: &'a str,
}

#[derive(Serialize)]
struct GroupKey<'a> {
    stream_name: &'a str,
    group_id: &'a str,
}

#[derive(Serialize)]
struct ItemKey<'a> {
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

    fn group_key<'a>(&'a self, group_id: &'a str) -> GroupKey<'a> {
        GroupKey { stream_name: &self.name, group_id }
    }

    fn item_key<'a>(&'a self, group_id: &'a str, item_id: &'a str) -> ItemKey<'a> {
        ItemKey { stream_name: &self.name, group_id, item_id }
    }

    /// Sends an event that is not stored, such as a typing indicator, to the subscribers of a group.
    pub fn send(&self, group: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        #[derive(Serialize)]
        struct SendInput<'a, D: ?Sized> {
            #[serde(flatten)]
            group: GroupKey<'a>,
            r#type: &'a str,
            data: &'a D,
        }
        let input = SendInput { group: self.group_key(group), r#type: kind, data };
        self.client.builtin("stream::send", &input)
    }

    /// Lists the groups of the stream that have items, in order.
    pub fn list_groups(&self) -> Call<Vec<String>> {
        self.client.builtin("stream::list_groups", &StreamKey { stream_name: &self.name })
    }
}

impl<T: DeserializeOwned> StreamClient<T> {
    /// Reads an item; `None` if there is none.
    pub fn get(&self, group: &str, item: &str) -> Call<Option<T>> {
        self.client.builtin("stream::get", &self.item_key(group, item))
    }

    /// Sets an item, replacing an earlier one.
    pub fn set(&self, group: &str, item: &str, data: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        #[derive(Serialize)]
        struct SetInput<'a, T> {
            #[serde(flatten)]
            item: ItemKey<'a>,
            data: &'a T,
        }
        self.client.builtin("stream::set", &SetInput { item: self.item_key(group, item), data })
    }

    /// Updates an item atomically, so that concurrent updates are not lost. A missing item counts as `{}`.
    ///
    /// Skips an operation that cannot be applied, and lists it in [`WriteResult::errors`].
    pub fn update(&self, group: &str, item: &str, update: Update) -> Call<WriteResult<T>> {
        #[derive(Serialize)]
        struct UpdateInput<'a> {
            #[serde(flatten)]
            item: ItemKey<'a>,
            ops: Update,
        }
        let input = UpdateInput { item: self.item_key(group, item), ops: update };
        self.client.builtin("stream::update", &input)
    }

    /// Deletes an item, and returns it.
    pub fn delete(&self, group: &str, item: &str) -> Call<Option<T>>
    where
        T: 'static,
    {
        #[derive(Deserialize)]
        struct DeleteResult<T> {
            old_value: Option<T>,
        }
        self.client.builtin_with("stream::delete", &self.item_key(group, item), |result| {
            result.parse::<DeleteResult<T>>().map(|result| result.old_value)
        })
    }

    /// Lists the items of a group, without their ids, the oldest first.
    pub fn list(&self, group: &str) -> Call<Vec<T>> {
        self.client.builtin("stream::list", &self.group_key(group))
    }
}

impl<T> Clone for StreamClient<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.name.clone())
    }
}
