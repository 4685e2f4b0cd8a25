//! Links inside one process: messages are handed over as they are, without sockets and without text.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    ChannelError, ChannelSocket, ConnectError, Limits, Link, Outbox, OutboxReader, Transport,
};
use crate::protocol::ChannelRef;

/// How much of a channel waits between its two ends in this process, in bytes.
const PIPE: usize = 64 << 10;

/// The two ends of a link in this process.
pub fn pair(limits: Limits) -> (Link, Link) {
    let (to_left, from_right) = Outbox::new(limits);
    let (to_right, from_left) = Outbox::new(limits);
    let link = |outbox, reader| Link { outbox, inbox: inbox(reader).fuse().boxed() };
    (link(to_right, from_right), link(to_left, from_left))
}

fn inbox(reader: OutboxReader) -> impl stream::Stream<Item = crate::protocol::Message> {
    stream::unfold(reader, |mut reader| async move {
        let message = reader.recv().await?;
        Some((message, reader))
    })
}

/// What arrives at an engine from within its process.
#[derive(Debug)]
pub enum Arrival {
    /// A worker.
    Link(Link),
    /// Somebody who wants one side of a channel.
    Channel {
        /// What opens it.
        at: ChannelRef,
        /// Carries the same frames as a socket would; answers whether there is such a channel.
        answer: oneshot::Sender<Option<DuplexStream>>,
    },
    /// Somebody who sends telemetry.
    Telemetry {
        /// Carries the same frames as a socket would.
        answer: oneshot::Sender<DuplexStream>,
    },
}

/// Reaches an engine that runs in this process.
#[derive(Debug, Clone)]
pub struct LocalTransport {
    door: mpsc::UnboundedSender<Arrival>,
    limits: Limits,
}

impl LocalTransport {
    /// A transport, and what arrives through it at the engine's side.
    pub fn new(limits: Limits) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (door, arrivals) = mpsc::unbounded_channel();
        (Self { door, limits }, arrivals)
    }
}

impl Transport for LocalTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectError>> {
        Box::pin(async {
            let (ours, theirs) = pair(self.limits);
            self.door.send(Arrival::Link(theirs)).map_err(|_| stopped())?;
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

/// The two ends of what carries the frames of a channel in this process.
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
    async fn what_one_side_sends_the_other_side_gets() {
        let (transport, mut arrivals) = LocalTransport::new(Limits::default());
        let mut ours = transport.connect().await.unwrap();
        let Some(Arrival::Link(mut theirs)) = arrivals.recv().await else { panic!("a link") };
        ours.outbox.send(Message::Ping).unwrap();
        assert_eq!(theirs.inbox.next().await, Some(Message::Ping));
        theirs.outbox.send(Message::Pong).unwrap();
        assert_eq!(ours.inbox.next().await, Some(Message::Pong));
    }

    #[tokio::test]
    async fn a_dropped_side_ends_the_link() {
        let (mut left, right) = pair(Limits::default());
        drop(right);
        assert_eq!(left.inbox.next().await, None);
        assert_eq!(left.inbox.next().await, None, "the end may be asked for again");
        assert!(left.outbox.is_closed());
    }
}
