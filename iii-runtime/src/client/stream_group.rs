//! One group of a stream, without naming it again and again; and following a stream.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::listen::Listen;
use super::{Call, StreamClient, payload};
use crate::trigger::StreamEvent;
use crate::update::{WriteResult, Update};
use iii_wire::TriggerKind;
use iii_wire::{Error, code};

/// One group of a stream. Made by [`StreamClient::group`].
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

    fn follow(&self, group: Option<&str>, item: Option<&str>) -> Listen<StreamEvent<T>> {
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
            let text = "an empty id means any: leave it out, or subscribe to the stream";
            Err(Error::new(code::INVALID_ARGUMENT, text))
        } else {
            payload(&config)
        };
        Listen::new(self.client.session().clone(), TriggerKind::Stream, config)
    }
}

impl<T: DeserializeOwned> StreamClient<T> {
    /// Hears of all changes of the stream from now on, in all groups, also of events that are not kept. See
    /// [`StreamGroup::subscribe`].
    pub fn subscribe(&self) -> Listen<StreamEvent<T>> {
        self.follow(None, None)
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

    /// Tells those who hear of the group of an event that is not kept. As [`StreamClient::send`].
    pub fn send(&self, kind: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.stream.send(&self.group, kind, data)
    }
}

impl<T: DeserializeOwned> StreamGroup<T> {
    /// Reads an item; `None` if there is none.
    pub fn get(&self, item: &str) -> Call<Option<T>> {
        self.stream.get(&self.group, item)
    }

    /// Sets an item, whatever was there before.
    pub fn set(&self, item: &str, data: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        self.stream.set(&self.group, item, data)
    }

    /// Changes parts of an item in one step. As [`StreamClient::update`].
    pub fn update(&self, item: &str, update: Update) -> Call<WriteResult<T>> {
        self.stream.update(&self.group, item, update)
    }

    /// Removes an item, and gives it.
    pub fn delete(&self, item: &str) -> Call<Option<T>>
    where
        T: 'static,
    {
        self.stream.delete(&self.group, item)
    }

    /// All items of the group, without their ids, the oldest first.
    pub fn list(&self) -> Call<Vec<T>> {
        self.stream.list(&self.group)
    }

    /// Hears of all changes of the group from now on, also of events that are not kept; until what it gives is dropped.
    ///
    /// It is a `stream` trigger that is bound now (see [`Client::listen`](super::Client::listen)), and not a connection to
    /// the streams listener (protocol section 8): so it works wherever the worker works, and `stream:join` functions are
    /// not asked. Changes come without a first picture: for one, subscribe, and then [`list`](StreamGroup::list). Changes
    /// that happen in between come as well; each has the whole item.
    ///
    /// # Errors
    ///
    /// As [`Client::listen`](super::Client::listen).
    pub fn subscribe(&self) -> Listen<StreamEvent<T>> {
        self.stream.follow(Some(&self.group), None)
    }

    /// As [`StreamGroup::subscribe`], of one item.
    pub fn subscribe_item(&self, item: &str) -> Listen<StreamEvent<T>> {
        self.stream.follow(Some(&self.group), Some(item))
    }
}

impl<T> Clone for StreamGroup<T> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), group: self.group.clone() }
    }
}
