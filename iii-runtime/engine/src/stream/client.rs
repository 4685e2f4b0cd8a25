//! One subscriber: what it asks for, and what it is sent (protocol sections 8.2 to 8.4).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame, Utf8Bytes};

use super::hub::{Outgoing, Queue, Subscription};
use super::message::Event;
use super::place::Place;
use super::{Streams, gate};
use crate::provider::overloaded;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::transport::ws::Heartbeat;

/// How long the last words may take. A client that is too slow reads what is before them first.
const GOODBYE: Duration = Duration::from_secs(5);

type Socket = SplitSink<WebSocketStream<TcpStream>, Frame>;
type Frames = SplitStream<WebSocketStream<TcpStream>>;

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
enum Request {
    Join(Join),
    Leave(Leave),
}

/// What a client subscribes to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Join {
    /// The name that the client gives the subscription.
    pub(super) subscription_id: String,
    /// The stream.
    pub(super) stream_name: String,
    /// The group.
    pub(super) group_id: String,
    /// The item; absent or empty: all of the group.
    #[serde(default)]
    pub(super) id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leave {
    subscription_id: String,
}

/// Serves a client until it leaves, is too slow, or the engine stops.
pub(super) async fn serve(
    socket: WebSocketStream<TcpStream>,
    streams: Arc<Streams>,
    context: Payload,
) {
    let mut stopping = streams.stopping.subscribe();
    let (mut socket, frames) = socket.split();
    let limits = streams.broker.limits().clone();
    let heartbeat = limits.streams.heartbeat();
    let (queue, outgoing) = Queue::new(&limits.streams);
    let mut client = Client::new(streams, queue.clone(), context);
    let close = tokio::select! {
        () = write(&mut socket, outgoing, &queue, heartbeat) => None,
        () = client.read(frames, heartbeat.give_up_after) => None,
        () = queue.too_slow() => {
            tracing::warn!("a subscriber does not read what it is sent: it is disconnected");
            Some(CloseCode::Again)
        }
        // An engine that is gone has stopped as well.
        _ = stopping.wait_for(|stopping| *stopping) => Some(CloseCode::Restart),
    };
    client.unsubscribe_all();
    let stopped = close == Some(CloseCode::Restart);
    let close = close.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
    let goodbye = async {
        let _ = socket.send(Frame::Close(close)).await;
        let _ = socket.close().await;
    };
    let goodbye = timeout(GOODBYE, goodbye);
    if stopped {
        // Nobody is left to be told.
        let _ = goodbye.await;
    } else {
        let _ = tokio::join!(goodbye, client.leave_all());
    }
}

/// Sends what is queued, as much at a time as is waiting, and pings in between.
async fn write(
    socket: &mut Socket,
    mut outgoing: mpsc::Receiver<Outgoing>,
    queue: &Queue,
    heartbeat: Heartbeat,
) {
    let Heartbeat { every, give_up_after } = heartbeat;
    let mut ping = interval(every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let first = tokio::select! {
            first = outgoing.recv() => first,
            _ = ping.tick() => {
                let sent = timeout(give_up_after, socket.send(Frame::Ping(Bytes::new()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                continue;
            }
        };
        let batch = async {
            let mut next = first;
            while let Some(one) = next {
                queue.took(&one);
                socket.feed(Frame::text(one.text())).await?;
                next = outgoing.try_recv().ok();
            }
            socket.flush().await
        };
        // A client that takes nothing for so long is as good as gone.
        if !matches!(timeout(give_up_after, batch).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// A client: what it has subscribed to, and the queue of what it is sent.
pub(super) struct Client {
    streams: Arc<Streams>,
    queue: Arc<Queue>,
    /// What the auth function said.
    context: Payload,
    subscriptions: HashMap<String, Arc<Subscription>>,
}

impl Client {
    /// A client without subscriptions. `context` is what the auth function said about it.
    pub(super) fn new(streams: Arc<Streams>, queue: Arc<Queue>, context: Payload) -> Self {
        Self { streams, queue, context, subscriptions: HashMap::new() }
    }

    /// Does what the client asks for, one thing after the other, until it leaves.
    async fn read(&mut self, mut frames: Frames, give_up_after: Duration) {
        loop {
            let frame = match timeout(give_up_after, frames.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return tracing::debug!("the socket of a subscriber failed: {error}");
                }
                Ok(None) => return,
                Err(_) => {
                    return tracing::debug!("nothing came from a subscriber for {give_up_after:?}");
                }
            };
            let bytes = match frame {
                Frame::Text(text) => Bytes::from(text),
                Frame::Binary(bytes) => bytes,
                Frame::Close(_) => return,
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => continue,
            };
            match serde_json::from_slice(&bytes) {
                Ok(Request::Join(join)) => self.join(join).await,
                Ok(Request::Leave(leave)) => self.leave(&leave.subscription_id).await,
                Err(error) => tracing::debug!("a subscriber's message was dropped: {error}"),
            }
        }
    }

    /// Subscribes, if the functions that are asked about it agree. The same name again replaces the earlier
    /// subscription.
    pub(super) async fn join(&mut self, join: Join) {
        let Join { subscription_id, stream_name, group_id, id } = join;
        let place = Place::new(&stream_name, &group_id);
        let item = id.filter(|id| !id.is_empty());
        let known = self.subscriptions.contains_key(&subscription_id);
        let most = self.streams.broker.limits().streams.subscriptions;
        if self.subscriptions.len() >= most && !known {
            let error = overloaded("this connection has too many subscriptions");
            return self.refuse(&subscription_id, &place, item.as_deref(), Some(&error));
        }
        let data = gate::payload(&subscription_id, &place, item.as_deref(), &self.context);
        if !self.streams.join.admits(&data).await {
            return self.refuse(&subscription_id, &place, item.as_deref(), None);
        }
        // Whoever counts who is there hears of the end of the earlier one.
        self.leave(&subscription_id).await;
        let subscribed =
            self.streams.subscribe(&subscription_id, place.clone(), item.clone(), &self.queue);
        match subscribed.await {
            Ok(subscription) => drop(self.subscriptions.insert(subscription_id, subscription)),
            Err(error) => {
                self.refuse(&subscription_id, &place, item.as_deref(), Some(&error));
                self.streams.leave.tell(&data).await;
            }
        }
    }

    fn refuse(&self, id: &str, place: &Place, item: Option<&str>, error: Option<&ErrorBody>) {
        let message = self.streams.message(place, item, &Event::Unauthorized(error));
        self.queue.push(Arc::new(message), id.into());
    }

    async fn leave(&mut self, id: &str) {
        let Some(subscription) = self.subscriptions.remove(id) else { return };
        self.streams.hub.unsubscribe(&subscription);
        self.tell_left(&subscription).await;
    }

    async fn tell_left(&self, subscription: &Subscription) {
        let Subscription { id, place, item, .. } = subscription;
        let data = gate::payload(id, place, item.as_deref(), &self.context);
        self.streams.leave.tell(&data).await;
    }

    /// Ends all subscriptions: nothing more is queued.
    pub(super) fn unsubscribe_all(&self) {
        for subscription in self.subscriptions.values() {
            self.streams.hub.unsubscribe(subscription);
        }
    }

    /// Tells of the end of all subscriptions, in the order of their names.
    pub(super) async fn leave_all(&self) {
        let mut all: Vec<_> = self.subscriptions.values().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        for subscription in all {
            self.tell_left(subscription).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Also if the task was ended.
        self.unsubscribe_all();
    }
}
