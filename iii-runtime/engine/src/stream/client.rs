//! The WebSocket connection of one stream subscriber ([protocol 8.2](iii_wire::protocol#s8-2), [8.4](iii_wire::protocol#s8-4)).

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
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::group::StreamGroup;
use super::hub::{ClientQueue, OutgoingMessage, StreamSubscription};
use super::message::MessageEvent;
use super::{Streams, subscription_triggers};
use crate::provider::overloaded;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::transport::ws::Heartbeat;

/// The time limit of the closing handshake. A slow client first reads the frames that are queued before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

type WebSocketSink = SplitSink<WebSocketStream<TcpStream>, Message>;
type WebSocketFrames = SplitStream<WebSocketStream<TcpStream>>;

/// A message of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
enum ClientMessage {
    Join(JoinRequest),
    Leave(LeaveRequest),
}

/// A request to subscribe.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinRequest {
    /// The id that the client chose for the subscription.
    pub(super) subscription_id: String,
    /// The stream.
    pub(super) stream_name: String,
    /// The group.
    pub(super) group_id: String,
    /// The item. Absent or empty: all items of the group.
    #[serde(default)]
    pub(super) id: Option<String>,
}

/// A request to unsubscribe.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaveRequest {
    subscription_id: String,
}

/// Serves a client until it disconnects, is too slow, or the engine stops.
pub(super) async fn serve(
    socket: WebSocketStream<TcpStream>,
    streams: Arc<Streams>,
    context: Payload,
) {
    let mut stopping = streams.stopping.subscribe();
    let (mut sink, frames) = socket.split();
    let limits = streams.broker.limits().clone();
    let heartbeat = limits.streams.heartbeat();
    let (queue, outgoing) = ClientQueue::new(&limits.streams);
    let mut client = StreamClient::new(streams, queue.clone(), context);
    let close_code = tokio::select! {
        () = send_queued(&mut sink, outgoing, &queue, heartbeat) => None,
        () = client.receive(frames, heartbeat.timeout) => None,
        () = queue.overflowed() => {
            tracing::warn!("a subscriber was disconnected: its send queue overflowed");
            Some(CloseCode::Again)
        }
        // Also ends when the engine was dropped.
        _ = stopping.wait_for(|stopping| *stopping) => Some(CloseCode::Restart),
    };
    client.unsubscribe_all();
    let engine_stops = close_code == Some(CloseCode::Restart);
    let close_frame = close_code.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
    let close = timeout(CLOSE_TIMEOUT, async {
        let _ = sink.send(Message::Close(close_frame)).await;
        let _ = sink.close().await;
    });
    if engine_stops {
        // The workers that serve `stream:leave` functions are disconnected as well.
        let _ = close.await;
    } else {
        let _ = tokio::join!(close, client.notify_leave_all());
    }
}

/// Sends queued messages in batches, and pings while the queue is empty.
async fn send_queued(
    sink: &mut WebSocketSink,
    mut outgoing: mpsc::Receiver<OutgoingMessage>,
    queue: &ClientQueue,
    heartbeat: Heartbeat,
) {
    let Heartbeat { interval: period, timeout: limit } = heartbeat;
    let mut ping = interval(period);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let first = tokio::select! {
            first = outgoing.recv() => first,
            _ = ping.tick() => {
                let sent = timeout(limit, sink.send(Message::Ping(Bytes::new()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                continue;
            }
        };
        let batch = async {
            let mut next = first;
            while let Some(message) = next {
                queue.release(&message);
                sink.feed(Message::text(message.json())).await?;
                next = outgoing.try_recv().ok();
            }
            sink.flush().await
        };
        // A client that accepts no data for so long counts as disconnected.
        if !matches!(timeout(limit, batch).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// A client: its subscriptions and its send queue.
pub(super) struct StreamClient {
    streams: Arc<Streams>,
    queue: Arc<ClientQueue>,
    /// The context that the auth function returned.
    context: Payload,
    subscriptions: HashMap<String, Arc<StreamSubscription>>,
}

impl StreamClient {
    /// A client without subscriptions. `context` is what the auth function returned for it.
    pub(super) fn new(streams: Arc<Streams>, queue: Arc<ClientQueue>, context: Payload) -> Self {
        Self { streams, queue, context, subscriptions: HashMap::new() }
    }

    /// Handles the messages of the client, one after the other, until it disconnects.
    async fn receive(&mut self, mut frames: WebSocketFrames, limit: Duration) {
        loop {
            let frame = match timeout(limit, frames.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return tracing::debug!("the connection of a subscriber failed: {error}");
                }
                Ok(None) => return,
                Err(_) => {
                    return tracing::debug!(
                        "a subscriber was disconnected: it sent nothing for {limit:?}"
                    );
                }
            };
            let bytes = match frame {
                Message::Text(text) => Bytes::from(text),
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            match serde_json::from_slice(&bytes) {
                Ok(ClientMessage::Join(request)) => self.join(request).await,
                Ok(ClientMessage::Leave(request)) => self.leave(&request.subscription_id).await,
                Err(error) => {
                    tracing::debug!("an invalid message of a subscriber was ignored: {error}");
                }
            }
        }
    }

    /// Subscribes, if the `stream:join` functions authorize it. Replaces the subscription with the same id.
    pub(super) async fn join(&mut self, request: JoinRequest) {
        let JoinRequest { subscription_id, stream_name, group_id, id } = request;
        let group = StreamGroup::new(&stream_name, &group_id);
        let item = id.filter(|id| !id.is_empty());
        let is_known = self.subscriptions.contains_key(&subscription_id);
        let max_subscriptions = self.streams.broker.limits().streams.subscriptions;
        if self.subscriptions.len() >= max_subscriptions && !is_known {
            let error = overloaded("this connection has too many subscriptions");
            return self.reject(&subscription_id, &group, item.as_deref(), Some(&error));
        }
        let context = &self.context;
        let data =
            subscription_triggers::payload(&subscription_id, &group, item.as_deref(), context);
        if !self.streams.join_triggers.authorize(&data).await {
            return self.reject(&subscription_id, &group, item.as_deref(), None);
        }
        // Fires `stream:leave` for the replaced subscription, so that functions that count subscribers stay correct.
        self.leave(&subscription_id).await;
        let subscribed =
            self.streams.subscribe(&subscription_id, group.clone(), item.clone(), &self.queue);
        match subscribed.await {
            Ok(subscription) => drop(self.subscriptions.insert(subscription_id, subscription)),
            Err(error) => {
                self.reject(&subscription_id, &group, item.as_deref(), Some(&error));
                self.streams.leave_triggers.notify(&data).await;
            }
        }
    }

    fn reject(&self, id: &str, group: &StreamGroup, item: Option<&str>, error: Option<&ErrorBody>) {
        let message = self.streams.message(group, item, &MessageEvent::Unauthorized(error));
        self.queue.push(Arc::new(message), id.into());
    }

    async fn leave(&mut self, id: &str) {
        let Some(subscription) = self.subscriptions.remove(id) else { return };
        self.streams.hub.unsubscribe(&subscription);
        self.notify_leave(&subscription).await;
    }

    async fn notify_leave(&self, subscription: &StreamSubscription) {
        let StreamSubscription { id, group, item, .. } = subscription;
        let data = subscription_triggers::payload(id, group, item.as_deref(), &self.context);
        self.streams.leave_triggers.notify(&data).await;
    }

    /// Removes all subscriptions from the hub. No message is queued afterwards.
    pub(super) fn unsubscribe_all(&self) {
        for subscription in self.subscriptions.values() {
            self.streams.hub.unsubscribe(subscription);
        }
    }

    /// Fires the `stream:leave` triggers for all subscriptions, in the order of their ids.
    pub(super) async fn notify_leave_all(&self) {
        let mut subscriptions: Vec<_> = self.subscriptions.values().collect();
        subscriptions.sort_by(|a, b| a.id.cmp(&b.id));
        for subscription in subscriptions {
            self.notify_leave(subscription).await;
        }
    }
}

impl Drop for StreamClient {
    fn drop(&mut self) {
        // Covers a task that was aborted.
        self.unsubscribe_all();
    }
}
