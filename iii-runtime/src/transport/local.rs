//! Links inside one process: messages are handed over as they are, without sockets and without text.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::{ConnectError, Limits, Link, Outbox, OutboxReader, Transport};

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

/// Reaches an engine that runs in this process.
#[derive(Debug, Clone)]
pub struct LocalTransport {
    door: mpsc::UnboundedSender<Link>,
    limits: Limits,
}

impl LocalTransport {
    /// A transport, and the stream of links that it opens: the engine's side of them.
    pub fn new(limits: Limits) -> (Self, mpsc::UnboundedReceiver<Link>) {
        let (door, arrivals) = mpsc::unbounded_channel();
        (Self { door, limits }, arrivals)
    }
}

impl Transport for LocalTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectError>> {
        Box::pin(async {
            let (ours, theirs) = pair(self.limits);
            self.door
                .send(theirs)
                .map_err(|_| ConnectError::unreachable("the engine in this process has stopped"))?;
            Ok(ours)
        })
    }
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
        let mut theirs = arrivals.recv().await.unwrap();
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
