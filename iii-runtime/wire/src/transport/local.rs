//! Connections within one process: messages are passed by value, without sockets or serialization.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    ChannelError, ChannelSocket, ConnectError, Connection, Outbox, OutboxLimits, OutboxReader,
    Transport,
};
use crate::protocol::ChannelRef;

/// Buffer size of one direction of a channel in this process, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// Creates the two endpoints of a connection in this process.
pub fn pair(limits: OutboxLimits) -> (Connection, Connection) {
    let (to_left, from_right) = Outbox::new(limits);
    let (to_right, from_left) = Outbox::new(limits);
    let endpoint = |outbox, reader| Connection { outbox, inbox: inbox(reader).fuse().boxed() };
    (endpoint(to_right, from_right), endpoint(to_left, from_left))
}

fn inbox(reader: OutboxReader) -> impl stream::Stream<Item = crate::protocol::Message> {
    stream::unfold(reader, |mut reader| async move {
        let message = reader.recv().await?;
        Some((message, reader))
    })
}

/// An incoming connection from within the process of the engine.
#[derive(Debug)]
pub enum Incoming {
    /// A worker connection.
    Connection(Connection),
    /// A request for one endpoint of a channel.
    Channel {
        /// The reference of the endpoint.
        channel: ChannelRef,
        /// Receives a duplex for the WebSocket frames; `None` if there is no such channel.
        reply: oneshot::Sender<Option<DuplexStream>>,
    },
    /// A telemetry connection.
    Telemetry {
        /// Receives a duplex for the WebSocket frames.
        reply: oneshot::Sender<DuplexStream>,
    },
}

/// Connects to an engine in this process.
#[derive(Debug, Clone)]
pub struct LocalTransport {
    incoming: mpsc::UnboundedSender<Incoming>,
    limits: OutboxLimits,
}

impl LocalTransport {
    /// Creates a transport, and the receiver of its incoming connections for the engine.
    #[inline]
    pub fn new(limits: OutboxLimits) -> (Self, mpsc::UnboundedReceiver<Incoming>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { incoming: sender, limits }, receiver)
    }
}

impl Transport for LocalTransport {
    #[inline]
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(async {
            let (ours, theirs) = pair(self.limits);
            self.incoming.send(Incoming::Connection(theirs)).map_err(|_| stopped())?;
            Ok(ours)
        })
    }

    fn open_channel(
        &self,
        channel: &ChannelRef,
    ) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>> {
        let (reply, replied) = oneshot::channel();
        let sent = self.incoming.send(Incoming::Channel { channel: channel.clone(), reply });
        Box::pin(async move {
            sent.map_err(|_| ChannelError::Failed(stopped()))?;
            let io = replied.await.map_err(|_| ChannelError::Failed(stopped()))?;
            let io = io.ok_or(ChannelError::NotFound)?;
            let socket: ChannelSocket =
                Box::new(WebSocketStream::from_raw_socket(io, Role::Client, None).await);
            Ok(socket)
        })
    }

    fn open_telemetry(&self) -> BoxFuture<'_, Result<ChannelSocket, ConnectError>> {
        let (reply, replied) = oneshot::channel();
        let sent = self.incoming.send(Incoming::Telemetry { reply });
        Box::pin(async move {
            sent.map_err(|_| stopped())?;
            let io = replied.await.map_err(|_| stopped())?;
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
    tokio::io::duplex(PIPE_BYTES)
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
        let (transport, mut incoming) = LocalTransport::new(OutboxLimits::default());
        let mut ours = transport.connect().await.unwrap();
        let Some(Incoming::Connection(mut theirs)) = incoming.recv().await else {
            panic!("a connection")
        };
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
