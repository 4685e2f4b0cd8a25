//! The writing half of a connection: sends queued messages in batches, and pings.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame, Utf8Bytes};

use super::Heartbeat;
use super::failed::FailedConnection;
use crate::protocol;
use crate::transport::OutboxReader;

/// Maximum size of a frame; longer messages are fragmented. Engines accept at least 16 MiB.
const MAX_FRAME_BYTES: usize = 4 << 20;
/// Approximate size of a batch that is flushed at once.
const BATCH_BYTES: usize = 1 << 20;
/// How long closing the socket may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The writing half of a socket.
pub(super) type Sink<S> = SplitSink<WebSocketStream<S>, Frame>;

/// Why writing ended.
enum WriteEnd {
    /// All messages were sent, and the connection is to be closed.
    Done,
    /// The socket or the reading half is gone.
    Lost,
}

/// Sends queued messages until the connection ends, then closes the socket.
pub(super) async fn write<S>(
    mut sink: Sink<S>,
    mut queue: OutboxReader,
    heartbeat: Heartbeat,
    mut failed: oneshot::Receiver<FailedConnection<S>>,
    stopped_reading: oneshot::Receiver<Infallible>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let over = tokio::select! {
        over = send_all(&mut sink, &mut queue, heartbeat) => over,
        _ = stopped_reading => WriteEnd::Lost,
        Ok(failure) = &mut failed => return failure.close(sink).await,
    };
    // Reading may have failed at the same time; the peer then gets that reason.
    if !failed.is_terminated()
        && let Ok(failure) = failed.try_recv()
    {
        return failure.close(sink).await;
    }
    if matches!(over, WriteEnd::Done) {
        let frame = queue
            .close_code()
            .map(|code| CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::default() });
        let close = async {
            let _ = sink.send(Frame::Close(frame)).await;
            let _ = sink.close().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// Sends queued messages in batches, and pings.
async fn send_all<S>(sink: &mut Sink<S>, queue: &mut OutboxReader, heartbeat: Heartbeat) -> WriteEnd
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Heartbeat { interval, timeout: limit } = heartbeat;
    let mut ping = tokio::time::interval(interval);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ping.reset();
    let mut batching = BatchHeuristic::default();
    loop {
        detach_read_wakeups(sink);
        let next = tokio::select! {
            next = queue.recv() => next,
            _ = ping.tick() => {
                let sent = sink.send(Frame::Ping(Bytes::new()));
                if !matches!(timeout(limit, sent).await, Ok(Ok(()))) {
                    return WriteEnd::Lost;
                }
                continue;
            }
        };
        let Some(first) = next else { return WriteEnd::Done };
        batching.yield_to_senders().await;
        let mut text = protocol::encode(&first);
        drop(first);
        let mut messages = 1;
        let batch = async {
            let mut bytes = 0;
            // A large message is flushed on its own, to delay the messages before it as little as possible.
            while text.len() <= MAX_FRAME_BYTES {
                bytes += text.len();
                sink.feed(Frame::text(std::mem::take(&mut text))).await?;
                let Some(message) = (bytes < BATCH_BYTES).then(|| queue.try_recv()).flatten()
                else {
                    break;
                };
                text = protocol::encode(&message);
                messages += 1;
            }
            sink.flush().await
        };
        // A peer that accepts nothing for this long is considered dead.
        if !matches!(timeout(limit, batch).await, Ok(Ok(()))) {
            return WriteEnd::Lost;
        }
        batching.record_batch(messages);
        for fragment in fragments(text) {
            if !matches!(timeout(limit, sink.send(fragment)).await, Ok(Ok(()))) {
                return WriteEnd::Lost;
            }
        }
    }
}

/// Replaces the waker of the writing task by a no-op while frames are received.
///
/// The socket keeps the waker of the last write and also wakes it when it becomes readable. Waking a second task for
/// nothing wakes a second worker thread of the runtime, which costs more than all other work for a frame. There is
/// nothing left to write here, and the next write reports errors.
fn detach_read_wakeups<S>(sink: &mut Sink<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = sink.poll_flush_unpin(&mut Context::from_waker(Waker::noop()));
}

/// Splits a large message into frames that every engine accepts (RFC 6455, section 5.4); an empty message has none.
fn fragments(text: String) -> impl Iterator<Item = Frame> {
    let bytes = Bytes::from(text);
    let pieces = bytes.len().div_ceil(MAX_FRAME_BYTES);
    (0..pieces).map(move |n| {
        let end = bytes.len().min((n + 1) * MAX_FRAME_BYTES);
        let kind = if n == 0 { Data::Text } else { Data::Continue };
        let piece = bytes.slice(n * MAX_FRAME_BYTES..end);
        Frame::Frame(RawFrame::message(piece, OpCode::Data(kind), n + 1 == pieces))
    })
}

/// Decides whether a message is delayed for a moment, so that others are sent in the same batch.
///
/// A task that responds wakes the writer, and the runtime polls the task that was woken last first: with many tasks
/// about to respond, each response would need a system call of its own. So the writer yields to them. Yielding makes
/// the runtime poll its sockets, which is wasted when no other task has a message, such as with one call in flight: the
/// writer then yields only now and then.
#[derive(Debug, Default)]
struct BatchHeuristic {
    /// Consecutive batches of a single message.
    single_batches: u32,
}

impl BatchHeuristic {
    /// After this many of them the writer stops yielding.
    const MAX_FUTILE_YIELDS: u32 = 4;
    /// It then yields once in this many batches.
    const PROBE_INTERVAL: u32 = 16;

    /// Yields to the ready tasks if recent batches had more than one message.
    ///
    /// Not with `yield_now`, which keeps the writer on this thread: a task that computes for long would block it, and
    /// no other thread could steal it.
    async fn yield_to_senders(&self) {
        if self.should_yield() {
            let mut waited = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut waited, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    fn should_yield(&self) -> bool {
        self.single_batches < Self::MAX_FUTILE_YIELDS
            || self.single_batches.is_multiple_of(Self::PROBE_INTERVAL)
    }

    /// Records the size of a batch.
    fn record_batch(&mut self, messages: usize) {
        self.single_batches = if messages > 1 { 0 } else { self.single_batches.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;
    use crate::transport::{Outbox, OutboxLimits};
    use futures_util::StreamExt;
    use std::io;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::tungstenite::protocol::Role;

    async fn sockets() -> (WebSocketStream<TcpStream>, WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (here, there) = tokio::join!(
            async {
                let stream = TcpStream::connect(address).await.unwrap();
                tokio_tungstenite::client_async(format!("ws://{address}"), stream).await.unwrap().0
            },
            async {
                let (stream, _) = listener.accept().await.unwrap();
                tokio_tungstenite::accept_async(stream).await.unwrap()
            },
        );
        (here, there)
    }

    #[tokio::test]
    async fn received_frames_do_not_wake_the_writer() {
        let (here, mut there) = sockets().await;
        let (mut sink, mut frames) = here.split();
        let (outbox, mut queue) = Outbox::new(OutboxLimits::default());
        let polls = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let polls = polls.clone();
            async move {
                let mut writing = pin!(send_all(&mut sink, &mut queue, Heartbeat::default()));
                std::future::poll_fn(|context| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    writing.as_mut().poll(context)
                })
                .await
            }
        });
        outbox.send(Message::Ping).unwrap();
        assert_eq!(there.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"ping"}"#));
        let polls_before = polls.load(Ordering::Relaxed);
        for _ in 0..20 {
            there.send(Frame::text("hi")).await.unwrap();
            assert_eq!(frames.next().await.unwrap().unwrap(), Frame::text("hi"));
        }
        assert_eq!(polls.load(Ordering::Relaxed), polls_before);
        // It is still woken for queued messages.
        outbox.send(Message::Ping).unwrap();
        assert_eq!(there.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"ping"}"#));
    }

    /// Discards writes and counts them.
    struct CountingWriter(Arc<AtomicUsize>);

    impl AsyncWrite for CountingWriter {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    // Only this flavor polls the task that was woken last first.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn messages_of_ready_tasks_are_sent_in_one_batch() {
        let times = Arc::new(AtomicUsize::new(0));
        let stream = tokio::io::join(tokio::io::empty(), CountingWriter(times.clone()));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let (mut sink, _frames) = socket.split();
        let (outbox, mut queue) = Outbox::new(OutboxLimits::default());
        let writer = tokio::spawn(async move {
            send_all(&mut sink, &mut queue, Heartbeat::default()).await;
        });
        let senders = tokio::spawn(async move {
            for _ in 0..8 {
                let outbox = outbox.clone();
                tokio::spawn(async move { outbox.send(Message::Ping).unwrap() });
            }
        });
        senders.await.unwrap();
        writer.await.unwrap();
        assert_eq!(times.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn writer_yields_while_batches_have_several_messages() {
        let mut batching = BatchHeuristic::default();
        let mut alone = |times| {
            let waits = |_| {
                let waits = batching.should_yield();
                batching.record_batch(1);
                waits
            };
            (0..times).map(waits).filter(|waits| *waits).count()
        };
        assert_eq!(alone(4), 4);
        assert_eq!(alone(160), 10);
        batching.record_batch(2);
        assert!(batching.should_yield());
    }
}
