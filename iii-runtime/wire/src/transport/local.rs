//! Connections within one process: messages are passed by value, without sockets or serialization.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    ChannelError, ChannelSocket, ConnectError, OutboxLimits, Connection, Outbox, OutboxReader, Transport,
};
use crate::protocol::ChannelRef;

/// Buffer size of one direction of a channel in this process, in bytes.
const PIPE: usize = 64 << 10;

/// Creates the two endpoints of a connection in this process.
pub fn pair(limits: OutboxLimits) -> (Connection, Connection) {
    let (to_left, from_right) = Outbox::new(limits);
    let (to_right, from_left) = Outbox::new(limits);
    let link = |outbox, reader| Connection { outbox, inbox: inbox(reader).fuse().boxed() };
    (link(to_right, from_right), link(to_left, from_left))
}

fn inbox(reader: OutboxReader) -> impl stream::Stream<Item = crate::protocol::Message> {
    stream::unfold(reader, |mut reader| async move {
        let message = reader.recv().await?;
        Some((message, reader))
    })
}

/// An incoming connection from within the process of the engine.
#[derive(Debug)]
pub enum Arrival {
    /// A worker connection.
    Connection(Connection),
    /// A request for one endpoint of a channel.
    Channel {
        /// The reference of the endpoint.
        at: ChannelRef,
        /// Receives a duplex for the WebSocket frames; `None` if there is no such channel.
        answer: oneshot::Sender<Option<DuplexStream>>,
    },
    /// A telemetry connection.
    Telemetry {
        /// Receives a duplex for the WebSocket frames.
        answer: oneshot::Sender<DuplexStream>,
    },
}

/// Connects to an engine in this process.
#[derive(Debug, Clone)]
pub struct LocalTransport {
    door: mpsc::UnboundedSender<Arrival>,
    limits: OutboxLimits,
}

impl LocalTransport {
    /// Creates a transport, and the receiver of its incoming connections for the engine.
    pub fn new(limits: OutboxLimits) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (door, arrivals) = mpsc::unbounded_channel();
        (Self { door, limits }, arrivals)
    }
}

impl Transport for LocalTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(async {
            let (ours, theirs) = pair(self.limits);
            self.door.send(Arrival::Connection(theirs)).map_err(|_| stopped())?;
            Ok(ours)
        })
    }

    fn open_channel(&self, at: &ChannelRef) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.door.send(Arrival::Channel { at: at.clone(), answer });
        Box::pin(async move {
            sent.map_err(|_| ChannelError::Failed(stopped()))?;
            let io = answered.await.map_err(|_| ChannelError::Failed(stopped()))?;
            let io = io.ok_or(ChannelError::NotFound)?;
            let socket: ChannelSocket =
                Box::new(WebSocketStream::from_raw_socket(io, Role::Client, None).await);
            Ok(socket)
        })
    }

    fn open_telemetry(&self) -> BoxFuture<'_, Result<ChannelSocket, ConnectError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.door.send(Arrival::Telemetry { answer });
        Box::pin(async move {
            sent.map_err(|_| stopped())?;
            let io = answered.await.map_err(|_| stopped())?;
            let socket: ChannelSocket =
                Box::new(WebSocketStream::from_raw_socket(io, Role::Client, None).await);
            Ok(socket)
        })
    }
}

fn stopped() -> ConnectError {
    ConnectError::unreachable("the engine in this process has stopped")
}

/// Creates the two ends of a duplex for the frames of a channel or of telemetry.
pub fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(PIPE)
}

impl fmt::Display for LocalTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the engine in this process")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;

    #[tokio::test]
    async fn messages_pass_in_both_directions() {
        let (transport, mut arrivals) = LocalTransport::new(OutboxLimits::default());
        let mut ours = transport.connect().await.unwrap();
        let Some(Arrival::Connection(mut theirs)) = arrivals.recv().await else { panic!("a connection") };
        ours.outbox.send(Message::Ping).unwrap();
        assert_eq!(theirs.inbox.next().await, Some(Message::Ping));
        theirs.outbox.send(Message::Pong).unwrap();
        assert_eq!(ours.inbox.next().await, Some(Message::Pong));
    }

    #[tokio::test]
    async fn dropping_one_endpoint_ends_the_connection() {
        let (mut left, right) = pair(OutboxLimits::default());
        drop(right);
        assert_eq!(left.inbox.next().await, None);
        assert_eq!(left.inbox.next().await, None, "the stream is fused");
        assert!(left.outbox.is_closed());
    }
}
