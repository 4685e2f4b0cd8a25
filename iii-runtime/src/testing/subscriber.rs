//! Subscribers of streams, without a socket.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Harness;
use iii_engine::testing::LocalSubscriber;
use iii_wire::protocol::Payload;

/// What a subscriber of a stream is sent ([protocol 8.3](crate::protocol#s8-3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage<T> {
    /// The items when the subscription began: all of the group, or the one item that is subscribed to.
    Sync(Vec<T>),
    /// An item is new.
    Create {
        /// Its id.
        item: String,
        /// The item.
        data: T,
    },
    /// An item was replaced.
    Update {
        /// Its id.
        item: String,
        /// The item as it is now.
        data: T,
    },
    /// An item was removed.
    Delete {
        /// Its id.
        item: String,
        /// The item as it was.
        data: T,
    },
    /// Somebody sent an event to the group.
    Event {
        /// Its type.
        kind: String,
        /// Its data.
        data: Payload,
    },
    /// A `stream:join` function refused the subscription.
    Unauthorized,
}

/// Somebody who is subscribed to a group of a stream. Made by [`Harness::subscribe`].
pub struct Subscriber<T> {
    harness: Harness,
    inner: LocalSubscriber,
    items: PhantomData<fn() -> T>,
}

impl Harness {
    /// Subscribes to a group of a stream, as a browser does: `stream:join` functions are asked, and the first thing that
    /// is heard is [`StreamMessage::Sync`] or [`StreamMessage::Unauthorized`].
    #[track_caller]
    pub fn subscribe<T: DeserializeOwned>(
        &self,
        stream: &str,
        group: &str,
    ) -> impl Future<Output = Subscriber<T>> + use<T> {
        self.subscribe_to(stream, group, None)
    }

    /// As [`Harness::subscribe`], to one item of the group.
    #[track_caller]
    pub fn subscribe_item<T: DeserializeOwned>(
        &self,
        stream: &str,
        group: &str,
        item: &str,
    ) -> impl Future<Output = Subscriber<T>> + use<T> {
        self.subscribe_to(stream, group, Some(item.to_owned()))
    }

    #[track_caller]
    fn subscribe_to<T: DeserializeOwned>(
        &self,
        stream: &str,
        group: &str,
        item: Option<String>,
    ) -> impl Future<Output = Subscriber<T>> + use<T> {
        self.step("subscribe");
        self.only_here("subscribe");
        let (harness, stream, group) = (self.clone(), stream.to_owned(), group.to_owned());
        async move {
            let engine = harness.started().await.engine.as_ref();
            let engine = engine.expect("there is one in this process");
            let inner = engine.subscribe(&stream, &group, item.as_deref()).await;
            let inner = inner.expect("the engine of a test has streams");
            Subscriber { harness, inner, items: PhantomData }
        }
    }
}

impl<T: DeserializeOwned> Subscriber<T> {
    /// Waits for the next thing; time moves by itself meanwhile. `None`: the engine has stopped.
    ///
    /// # Panics
    ///
    /// If an item does not fit the type.
    pub async fn next(&mut self) -> Option<StreamMessage<T>> {
        self.inner.next().await.map(|text| read(&text))
    }

    /// All that came since the last look. Settles first.
    ///
    /// # Panics
    ///
    /// If an item does not fit the type.
    pub async fn received(&mut self) -> Vec<StreamMessage<T>> {
        self.harness.settled().await;
        std::iter::from_fn(|| self.inner.try_next()).map(|text| read(&text)).collect()
    }

    /// Ends the subscription; `stream:leave` functions are told. Dropping it tells nobody.
    pub async fn leave(self) {
        self.inner.leave().await;
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

/// Reads a message of the engine.
fn read<T: DeserializeOwned>(text: &str) -> StreamMessage<T> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        id: Option<String>,
        event: Told,
    }
    #[derive(Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Told {
        Sync { data: serde_json::Value },
        Create { data: serde_json::Value },
        Update { data: serde_json::Value },
        Delete { data: serde_json::Value },
        Event { event: Sent },
        Unauthorized,
    }
    #[derive(Deserialize)]
    struct Sent {
        r#type: String,
        #[serde(default)]
        data: serde_json::Value,
    }
    let Message { id, event } = serde_json::from_str(text).expect("a message of the engine");
    let item = id.unwrap_or_default();
    let fit = |data: serde_json::Value| -> T {
        let shown = data.to_string();
        serde_json::from_value(data)
            .unwrap_or_else(|error| panic!("the item does not fit: {error}: {shown}"))
    };
    match event {
        Told::Sync { data: serde_json::Value::Array(items) } => {
            StreamMessage::Sync(items.into_iter().map(fit).collect())
        }
        Told::Sync { data: serde_json::Value::Null } => StreamMessage::Sync(Vec::new()),
        Told::Sync { data } => StreamMessage::Sync(vec![fit(data)]),
        Told::Create { data } => StreamMessage::Create { item, data: fit(data) },
        Told::Update { data } => StreamMessage::Update { item, data: fit(data) },
        Told::Delete { data } => StreamMessage::Delete { item, data: fit(data) },
        Told::Event { event: Sent { r#type, data } } => {
            StreamMessage::Event { kind: r#type, data: data.into() }
        }
        Told::Unauthorized => StreamMessage::Unauthorized,
    }
}
