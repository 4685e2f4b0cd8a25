//! A subscriber in this process: all that one over a socket is, but for the socket.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Streams;
use super::client::{Client, Join};
use super::hub::{Outgoing, Queue};
use iii_wire::protocol::Payload;

/// One subscription of a client that has no other.
pub struct LocalSubscriber {
    client: Client,
    queue: Arc<Queue>,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl std::fmt::Debug for LocalSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSubscriber").finish_non_exhaustive()
    }
}

impl LocalSubscriber {
    /// Subscribes to a group, or to one item of it, if the functions that are asked about it agree. Either way, the first
    /// message says what became of it.
    pub(crate) async fn join(
        streams: Arc<Streams>,
        stream: &str,
        group: &str,
        item: Option<&str>,
    ) -> Self {
        let (queue, outgoing) = Queue::new(&streams.broker.limits().streams);
        let mut client = Client::new(streams, queue.clone(), Payload::null());
        client
            .join(Join {
                subscription_id: "test".to_owned(),
                stream_name: stream.to_owned(),
                group_id: group.to_owned(),
                id: item.map(str::to_owned),
            })
            .await;
        Self { client, queue, outgoing }
    }

    /// The next message, as JSON.
    pub async fn next(&mut self) -> Option<String> {
        let message = self.outgoing.recv().await?;
        self.queue.took(&message);
        Some(message.text())
    }

    /// The next message, if one is waiting.
    pub fn try_next(&mut self) -> Option<String> {
        let message = self.outgoing.try_recv().ok()?;
        self.queue.took(&message);
        Some(message.text())
    }

    /// Ends the subscription. Those who are told of the end have been told when this is done.
    pub async fn leave(self) {
        self.client.unsubscribe_all();
        self.client.leave_all().await;
    }
}
