//! The pipe of one channel: an ordered buffer, bounded by messages and bytes, with a writer and a reader endpoint.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};
use uuid::Uuid;

use super::ChannelRegistry;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::sync::lock;

/// A message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChannelMessage {
    /// Text.
    Text(Utf8Bytes),
    /// Binary data.
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

/// The writer disconnected without closing the channel: the data is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WriterDisconnected;

impl fmt::Display for WriterDisconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the writer of the channel disconnected before the end of the data")
    }
}

impl std::error::Error for WriterDisconnected {}

/// The reader disconnected, or the channel was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReaderDisconnected;

impl fmt::Display for ReaderDisconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the channel disconnected")
    }
}

impl std::error::Error for ReaderDisconnected {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndpointState {
    Unopened,
    Open,
    Closed,
}

/// How the data of a channel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndOfData {
    Complete,
    Incomplete,
    /// Incomplete, and the reader has received the error.
    IncompleteReported,
}

#[derive(Debug)]
struct PipeState {
    buffer: VecDeque<ChannelMessage>,
    buffered_bytes: usize,
    writer: EndpointState,
    reader: EndpointState,
    end: Option<EndOfData>,
    // Each endpoint is polled by one task, so one waker is enough.
    writer_waker: Option<Waker>,
    reader_waker: Option<Waker>,
}

impl PipeState {
    /// Returns whether the writer can no longer send.
    fn is_closed_for_writer(&self) -> bool {
        self.reader == EndpointState::Closed || self.end.is_some()
    }
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: Uuid,
    pub(super) key: Uuid,
    /// The maximum number of buffered messages.
    max_messages: usize,
    /// The maximum number of buffered bytes. A longer message is accepted when the buffer is empty.
    max_bytes: usize,
    registry: Weak<ChannelRegistry>,
    state: Mutex<PipeState>,
}

impl Channel {
    pub(super) fn new(
        registry: Weak<ChannelRegistry>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            key: Uuid::new_v4(),
            max_messages,
            max_bytes,
            registry,
            state: Mutex::new(PipeState {
                buffer: VecDeque::new(),
                buffered_bytes: 0,
                writer: EndpointState::Unopened,
                reader: EndpointState::Unopened,
                end: None,
                writer_waker: None,
                reader_waker: None,
            }),
        })
    }

    /// Returns the reference that opens an endpoint.
    pub(super) fn reference(&self, direction: ChannelDirection) -> ChannelRef {
        ChannelRef { channel_id: self.id.to_string(), access_key: self.key.to_string(), direction }
    }

    /// Opens the writing endpoint. Returns `None` if it was opened before, or the channel was aborted.
    pub(super) fn open_writer(self: &Arc<Self>) -> Option<ChannelWriter> {
        let waker = {
            let mut state = lock(&self.state);
            if state.writer != EndpointState::Unopened {
                return None;
            }
            state.writer = EndpointState::Open;
            state.reader_waker.take()
        };
        wake(waker);
        Some(ChannelWriter { channel: self.clone() })
    }

    /// Opens the reading endpoint. Returns `None` if it was opened before, or the channel was aborted.
    pub(super) fn open_reader(self: &Arc<Self>) -> Option<ChannelReader> {
        let mut state = lock(&self.state);
        if state.reader != EndpointState::Unopened {
            return None;
        }
        state.reader = EndpointState::Open;
        Some(ChannelReader { channel: self.clone() })
    }

    /// Returns whether both endpoints were opened.
    pub(super) fn is_opened(&self) -> bool {
        let state = lock(&self.state);
        state.writer != EndpointState::Unopened && state.reader != EndpointState::Unopened
    }

    /// Aborts the channel: the writer cannot send any more, and an unopened endpoint cannot be opened any more.
    pub(super) fn abort(&self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(EndOfData::Incomplete);
            if state.writer == EndpointState::Unopened {
                state.writer = EndpointState::Closed;
            }
            if state.reader == EndpointState::Unopened {
                state.reader = EndpointState::Closed;
                state.buffer = VecDeque::new();
                state.buffered_bytes = 0;
            }
            [state.writer_waker.take(), state.reader_waker.take()]
        };
        wakers.into_iter().for_each(wake);
    }

    /// Removes the channel from the registry.
    pub(super) fn unregister(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.remove(self.id);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The writing endpoint: a sink of messages. Closing it completes the data; dropping it without closing leaves the data
/// incomplete.
#[derive(Debug)]
pub(crate) struct ChannelWriter {
    channel: Arc<Channel>,
}

impl ChannelWriter {
    /// Waits until the reader has disconnected, or the channel was aborted.
    pub(crate) async fn closed(&mut self) {
        poll_fn(|context| {
            let mut state = lock(&self.channel.state);
            if state.is_closed_for_writer() {
                return Poll::Ready(());
            }
            state.writer_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Sends a message without waiting for capacity.
    ///
    /// # Errors
    ///
    /// If the reader has disconnected, or the channel was aborted.
    pub(crate) fn push(&mut self, message: ChannelMessage) -> Result<(), ReaderDisconnected> {
        let waker = {
            let mut state = lock(&self.channel.state);
            if state.is_closed_for_writer() {
                return Err(ReaderDisconnected);
            }
            state.buffered_bytes += message.len();
            state.buffer.push_back(message);
            state.reader_waker.take()
        };
        wake(waker);
        Ok(())
    }

    /// Completes the data: the reader receives the buffered messages and then the end of the stream.
    pub(crate) fn finish(&mut self) {
        let waker = {
            let mut state = lock(&self.channel.state);
            state.end.get_or_insert(EndOfData::Complete);
            state.reader_waker.take()
        };
        wake(waker);
    }
}

impl Sink<ChannelMessage> for ChannelWriter {
    type Error = ReaderDisconnected;

    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ReaderDisconnected>> {
        let channel = &self.channel;
        let mut state = lock(&channel.state);
        if state.is_closed_for_writer() {
            return Poll::Ready(Err(ReaderDisconnected));
        }
        let has_capacity =
            state.buffer.len() < channel.max_messages && state.buffered_bytes < channel.max_bytes;
        if has_capacity || state.buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer_waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, message: ChannelMessage) -> Result<(), ReaderDisconnected> {
        self.get_mut().push(message)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), ReaderDisconnected>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), ReaderDisconnected>> {
        self.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        let (waker, both_closed) = {
            let mut state = lock(&self.channel.state);
            state.end.get_or_insert(EndOfData::Incomplete);
            state.writer = EndpointState::Closed;
            (state.reader_waker.take(), state.reader == EndpointState::Closed)
        };
        wake(waker);
        if both_closed {
            self.channel.unregister();
        }
    }
}

/// The reading endpoint: a stream of messages. Its last item is [`WriterDisconnected`] if the data is incomplete.
#[derive(Debug)]
pub(crate) struct ChannelReader {
    channel: Arc<Channel>,
}

impl ChannelReader {
    /// Returns whether the writing endpoint was opened.
    pub(crate) fn is_opened(&self) -> bool {
        lock(&self.channel.state).writer != EndpointState::Unopened
    }

    /// Waits until the writing endpoint is opened.
    pub(crate) async fn opened(&mut self) {
        poll_fn(|context| {
            let mut state = lock(&self.channel.state);
            if state.writer != EndpointState::Unopened {
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
        let (message, waker) = {
            let mut state = lock(&self.channel.state);
            let Some(message) = state.buffer.pop_front() else {
                return match state.end {
                    Some(EndOfData::Complete | EndOfData::IncompleteReported) => Poll::Ready(None),
                    Some(EndOfData::Incomplete) => {
                        state.end = Some(EndOfData::IncompleteReported);
                        Poll::Ready(Some(Err(WriterDisconnected)))
                    }
                    None => {
                        state.reader_waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                };
            };
            state.buffered_bytes -= message.len();
            (message, state.writer_waker.take())
        };
        wake(waker);
        Poll::Ready(Some(Ok(message)))
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        let (waker, buffer, both_closed) = {
            let mut state = lock(&self.channel.state);
            state.reader = EndpointState::Closed;
            state.buffered_bytes = 0;
            let buffer = std::mem::take(&mut state.buffer);
            (state.writer_waker.take(), buffer, state.writer == EndpointState::Closed)
        };
        drop(buffer);
        wake(waker);
        if both_closed {
            self.channel.unregister();
        }
    }
}
