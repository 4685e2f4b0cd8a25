//! A subscriber in this process, which behaves like one over a WebSocket.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Streams;
use super::client::{JoinRequest, StreamClient};
use super::hub::{ClientQueue, OutgoingMessage};
use iii_wire::protocol::Payload;

/// A client in this process with one subscription.
pub struct LocalSubscriber {
    client: StreamClient,
    queue: Arc<ClientQueue>,
    outgoing: mpsc::Receiver<OutgoingMessage>,
}

impl std::fmt::Debug for LocalSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSubscriber").finish_non_exhaustive()
    }
}

impl LocalSubscriber {
    /// Subscribes to a group or an item, if the `stream:join` functions authorize it. The first message is the snapshot, or
    /// the rejection.
    pub(crate) async fn join(
        streams: Arc<Streams>,
        stream: &str,
        group: &str,
        item: Option<&str>,
    ) -> Self {
        let (queue, outgoing) = ClientQueue::new(&streams.broker.limits().streams);
        let mut client = StreamClient::new(streams, queue.clone(), Payload::null());
        client
            .join(JoinRequest {
                subscription_id: "test".to_owned(),
                stream_name: stream.to_owned(),
                group_id: group.to_owned(),
                id: item.map(str::to_owned),
            })
            .await;
        Self { client, queue, outgoing }
    }

    /// Waits for the next message, as JSON.
    pub async fn next(&mut self) -> Option<String> {
        let message = self.outgoing.recv().await?;
        self.queue.release(&message);
        Some(message.json())
    }

    /// Returns the next message if one is queued, as JSON.
    pub fn try_next(&mut self) -> Option<String> {
        let message = self.outgoing.try_recv().ok()?;
        self.queue.release(&message);
        Some(message.json())
    }

    /// Unsubscribes. The `stream:leave` functions have finished when this returns.
    pub async fn leave(self) {
        self.client.unsubscribe_all();
        self.client.notify_leave_all().await;
    }
}
