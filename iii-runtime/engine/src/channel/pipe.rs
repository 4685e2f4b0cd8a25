//! The pipe of one channel: messages in their order, bounded by number and by bytes, with one end for each side.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};
use uuid::Uuid;

use super::Table;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::sync::lock;

/// One message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChannelMessage {
    /// Text.
    Text(Utf8Bytes),
    /// Anything else.
    Binary(Bytes),
}

impl ChannelMessage {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// The writer left without closing: what came is not all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WriterDisconnected;

impl fmt::Display for WriterDisconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the writer of the channel left before the end")
    }
}

impl std::error::Error for WriterDisconnected {}

/// Nobody reads the channel any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the channel any more")
    }
}

impl std::error::Error for Gone {}

/// What is with one side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Free,
    Taken,
    Gone,
}

/// How the messages of a channel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Incomplete,
    /// Broken, and the reader knows.
    Told,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<ChannelMessage>,
    bytes: usize,
    writer: Side,
    reader: Side,
    end: Option<End>,
    // Each end belongs to one task, so one place for its waker is enough.
    writer_waker: Option<Waker>,
    reader_waker: Option<Waker>,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: Uuid,
    pub(super) key: Uuid,
    /// Messages that may wait.
    capacity: usize,
    /// Bytes that may wait. A longer message is taken alone.
    bytes: usize,
    table: Weak<Table>,
    state: Mutex<State>,
}

impl Channel {
    pub(super) fn new(table: Weak<Table>, capacity: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            key: Uuid::new_v4(),
            capacity,
            bytes,
            table,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                writer: Side::Free,
                reader: Side::Free,
                end: None,
                writer_waker: None,
                reader_waker: None,
            }),
        })
    }

    /// What opens a side.
    pub(super) fn side(&self, direction: ChannelDirection) -> ChannelRef {
        ChannelRef { channel_id: self.id.to_string(), access_key: self.key.to_string(), direction }
    }

    /// The writing end, once.
    pub(super) fn writer(self: &Arc<Self>) -> Option<ChannelWriter> {
        let waker = {
            let mut state = lock(&self.state);
            if state.writer != Side::Free {
                return None;
            }
            state.writer = Side::Taken;
            state.reader_waker.take()
        };
        wake(waker);
        Some(ChannelWriter { channel: self.clone() })
    }

    /// The reading end, once.
    pub(super) fn reader(self: &Arc<Self>) -> Option<ChannelReader> {
        let mut state = lock(&self.state);
        if state.reader != Side::Free {
            return None;
        }
        state.reader = Side::Taken;
        Some(ChannelReader { channel: self.clone() })
    }

    /// Whether both ends were taken.
    pub(super) fn is_complete(&self) -> bool {
        let state = lock(&self.state);
        state.writer != Side::Free && state.reader != Side::Free
    }

    /// Ends the channel: nothing more gets in, and a side that was not taken cannot be taken any more.
    pub(super) fn abort(&self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(End::Incomplete);
            if state.writer == Side::Free {
                state.writer = Side::Gone;
            }
            if state.reader == Side::Free {
                state.reader = Side::Gone;
                state.queue = VecDeque::new();
                state.bytes = 0;
            }
            [state.writer_waker.take(), state.reader_waker.take()]
        };
        wakers.into_iter().for_each(wake);
    }

    /// Forgets the channel: nobody finds it any more.
    pub(super) fn forget(&self) {
        if let Some(table) = self.table.upgrade() {
            table.remove(self.id);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The writing end: a sink of messages. Closing it ends the channel well; dropping it without that breaks it off.
#[derive(Debug)]
pub(crate) struct ChannelWriter {
    channel: Arc<Channel>,
}

impl ChannelWriter {
    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&mut self) {
        poll_fn(|context| {
            let mut state = lock(&self.channel.state);
            if state.reader == Side::Gone || state.end.is_some() {
                return Poll::Ready(());
            }
            state.writer_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Puts a message in without waiting for room.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub(crate) fn push(&mut self, frame: ChannelMessage) -> Result<(), Gone> {
        let waker = {
            let mut state = lock(&self.channel.state);
            if state.reader == Side::Gone || state.end.is_some() {
                return Err(Gone);
            }
            state.bytes += frame.len();
            state.queue.push_back(frame);
            state.reader_waker.take()
        };
        wake(waker);
        Ok(())
    }

    /// Ends the channel well: the reader gets what is in it, and then the end.
    pub(crate) fn finish(&mut self) {
        let waker = {
            let mut state = lock(&self.channel.state);
            state.end.get_or_insert(End::Complete);
            state.reader_waker.take()
        };
        wake(waker);
    }
}

impl Sink<ChannelMessage> for ChannelWriter {
    type Error = Gone;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = lock(&self.channel.state);
        if state.reader == Side::Gone || state.end.is_some() {
            return Poll::Ready(Err(Gone));
        }
        let room = state.queue.len() < self.channel.capacity && state.bytes < self.channel.bytes;
        if room || state.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer_waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, frame: ChannelMessage) -> Result<(), Gone> {
        self.get_mut().push(frame)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        let (waker, both) = {
            let mut state = lock(&self.channel.state);
            state.end.get_or_insert(End::Incomplete);
            state.writer = Side::Gone;
            (state.reader_waker.take(), state.reader == Side::Gone)
        };
        wake(waker);
        if both {
            self.channel.forget();
        }
    }
}

/// The reading end: a stream of messages. [`WriterDisconnected`] as the last item: the writer left before the end.
#[derive(Debug)]
pub(crate) struct ChannelReader {
    channel: Arc<Channel>,
}

impl ChannelReader {
    /// Whether the writing end was ever taken.
    pub(crate) fn is_opened(&self) -> bool {
        lock(&self.channel.state).writer != Side::Free
    }

    /// Waits until the writing end is taken.
    pub(crate) async fn opened(&mut self) {
        poll_fn(|context| {
            let mut state = lock(&self.channel.state);
            if state.writer != Side::Free {
                return Poll::Ready(());
            }
            state.reader_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Stream for ChannelReader {
    type Item = Result<ChannelMessage, WriterDisconnected>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (frame, waker) = {
            let mut state = lock(&self.channel.state);
            let Some(frame) = state.queue.pop_front() else {
                return match state.end {
                    Some(End::Complete | End::Told) => Poll::Ready(None),
                    Some(End::Incomplete) => {
                        state.end = Some(End::Told);
                        Poll::Ready(Some(Err(WriterDisconnected)))
                    }
                    None => {
                        state.reader_waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                };
            };
            state.bytes -= frame.len();
            (frame, state.writer_waker.take())
        };
        wake(waker);
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        let (waker, queue, both) = {
            let mut state = lock(&self.channel.state);
            state.reader = Side::Gone;
            state.bytes = 0;
            let queue = std::mem::take(&mut state.queue);
            (state.writer_waker.take(), queue, state.writer == Side::Gone)
        };
        drop(queue);
        wake(waker);
        if both {
            self.channel.forget();
        }
    }
}
