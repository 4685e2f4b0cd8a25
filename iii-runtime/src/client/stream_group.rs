//! One group of a stream, and subscriptions to a stream.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::listen::Listen;
use super::{Call, StreamClient, payload};
use crate::trigger::StreamEvent;
use crate::update::{Update, WriteResult};
use iii_wire::TriggerKind;
use iii_wire::{Error, code};

/// One group of a stream. Created by [`StreamClient::group`].
///
/// ```no_run
/// # use iii::prelude::*;
/// # #[derive(Serialize, Deserialize)] struct Message { text: String }
/// # async fn example(client: Client) -> iii::Result<()> {
/// let room = client.stream::<Message>("chat").group("room1");
/// let mut changes = room.subscribe().await?;
/// room.set("m1", &Message { text: "hello".into() }).await?;
/// while let Some(event) = changes.next().await {
///     match event?.event {
///         StreamChange::Create { data } | StreamChange::Update { data } => println!("{}", data.text),
///         StreamChange::Delete { .. } | StreamChange::Event { .. } => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StreamGroup<T> {
    stream: StreamClient<T>,
    group: String,
}

impl<T> StreamClient<T> {
    /// One group of the stream.
    pub fn group(&self, id: impl Into<String>) -> StreamGroup<T> {
        StreamGroup { stream: self.clone(), group: id.into() }
    }

    fn listen(&self, group: Option<&str>, item: Option<&str>) -> Listen<StreamEvent<T>> {
        #[derive(Serialize)]
        struct Config<'a> {
            stream_name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            group_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            item_id: Option<&'a str>,
        }
        let config = Config { stream_name: self.name(), group_id: group, item_id: item };
        let config = if group == Some("") || item == Some("") {
            let text = "an empty id matches all: use `subscribe` without it";
            Err(Error::new(code::INVALID_ARGUMENT, text))
        } else {
            payload(&config)
        };
        Listen::new(self.client.session().clone(), TriggerKind::Stream, config)
    }
}

impl<T: DeserializeOwned> StreamClient<T> {
    /// Subscribes to all changes of the stream, in all groups, including events that are not stored. See
    /// [`StreamGroup::subscribe`].
    pub fn subscribe(&self) -> Listen<StreamEvent<T>> {
        self.listen(None, None)
    }
}

impl<T> StreamGroup<T> {
    /// The name of the stream.
    pub fn stream(&self) -> &str {
        self.stream.name()
    }

    /// The id of the group.
    pub fn id(&self) -> &str {
        &self.group
    }

    /// Sends an event that is not stored to the subscribers of the group. As [`StreamClient::send`].
    pub fn send(&self, kind: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.stream.send(&self.group, kind, data)
    }
}

impl<T: DeserializeOwned> StreamGroup<T> {
    /// Reads an item; `None` if there is none.
    pub fn get(&self, item: &str) -> Call<Option<T>> {
        self.stream.get(&self.group, item)
    }

    /// Sets an item, replacing an earlier one.
    pub fn set(&self, item: &str, data: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        self.stream.set(&self.group, item, data)
    }

    /// Updates an item atomically. As [`StreamClient::update`].
    pub fn update(&self, item: &str, update: Update) -> Call<WriteResult<T>> {
        self.stream.update(&self.group, item, update)
    }

    /// Deletes an item, and returns it.
    pub fn delete(&self, item: &str) -> Call<Option<T>>
    where
        T: 'static,
    {
        self.stream.delete(&self.group, item)
    }

    /// Lists the items of the group, without their ids, the oldest first.
    pub fn list(&self) -> Call<Vec<T>> {
        self.stream.list(&self.group)
    }

    /// Subscribes to all changes of the group, including events that are not stored, until the listener is dropped.
    ///
    /// Binds a `stream` trigger (see [`Client::listen`](super::Client::listen)) rather than connecting to the streams
    /// listener ([protocol 8](crate::protocol#s8)), so it works wherever the worker works, and does not call `stream:join` functions. The
    /// subscription starts without a snapshot: to get one, subscribe, and then [`list`](StreamGroup::list). Changes in
    /// between are delivered as well; each has the whole item.
    ///
    /// # Errors
    ///
    /// As [`Client::listen`](super::Client::listen).
    pub fn subscribe(&self) -> Listen<StreamEvent<T>> {
        self.stream.listen(Some(&self.group), None)
    }

    /// As [`StreamGroup::subscribe`], for one item.
    pub fn subscribe_item(&self, item: &str) -> Listen<StreamEvent<T>> {
        self.stream.listen(Some(&self.group), Some(item))
    }
}

impl<T> Clone for StreamGroup<T> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), group: self.group.clone() }
    }
}
