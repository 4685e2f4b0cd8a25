//! The frames that wait for the engine, within bounds, and the task that sends them ([protocol 1.6](crate::protocol#s1-6), [1.7](crate::protocol#s1-7)).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::time::Backoff;
use iii_wire::transport::{ChannelSocket, Transport};

/// Bytes of one frame; engines take 16 MiB.
pub(super) const FRAME: usize = 4 << 20;
/// Frames that wait at most; the oldest give way.
const FRAMES: usize = 1_000;
/// Bytes of all frames that wait.
const BYTES: usize = 16 << 20;
/// How often the engine is asked whether it is still there, and how long it may say nothing.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);
/// A link that lasted this long was a good one: the next pause is short again.
const LASTED: Duration = Duration::from_secs(10);

/// The frames that wait.
#[derive(Debug)]
pub(super) struct Frames {
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
    /// Tells of every change.
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More may come.
    Open,
    /// Nothing more comes.
    Closed,
    /// And everything was sent, or never will be.
    Done,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
            state: watch::Sender::new(State::Open),
        }
    }
}

impl Frames {
    /// Adds a frame. Never waits: the oldest give way to it.
    pub(super) fn push(&self, prefix: &str, body: &[u8]) {
        let length = prefix.len() + body.len();
        if length > FRAME + prefix.len() || *self.state.borrow() != State::Open {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let frame = Bytes::from([prefix.as_bytes(), body].concat());
        let mut first = false;
        let mut waiting = self.lock();
        while waiting.frames.len() >= FRAMES || waiting.bytes + length > BYTES {
            let Some(oldest) = waiting.frames.pop_front() else { break };
            waiting.bytes -= oldest.len();
            first |= self.dropped.fetch_add(1, Ordering::Relaxed) == 0;
        }
        waiting.bytes += length;
        waiting.frames.push_back(frame);
        drop(waiting);
        if first {
            tracing::warn!("the engine does not take telemetry: the oldest of it is dropped");
        }
        self.state.send_modify(|_| {});
    }

    /// How many frames were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Says that nothing more comes.
    pub(super) fn close(&self) {
        self.state.send_if_modified(|state| {
            let open = *state == State::Open;
            if open {
                *state = State::Closed;
            }
            open
        });
    }

    /// Waits until everything was sent.
    pub(super) async fn sent(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Done).await;
    }

    fn pop(&self) -> Option<Bytes> {
        let mut waiting = self.lock();
        let frame = waiting.frames.pop_front()?;
        waiting.bytes -= frame.len();
        Some(frame)
    }

    /// Puts a frame back that could not be sent.
    fn unpop(&self, frame: Bytes) {
        let mut waiting = self.lock();
        waiting.bytes += frame.len();
        waiting.frames.push_front(frame);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Sends frames until they are closed and sent; connects again as long as it takes.
pub(super) async fn carry(frames: Arc<Frames>, transport: Arc<dyn Transport>) {
    let mut changed = frames.state.subscribe();
    let mut attempt = 0;
    let mut told = false;
    loop {
        let closed = || *frames.state.borrow() != State::Open;
        match transport.open_telemetry().await {
            Ok(socket) => {
                let begun = Instant::now();
                if pump(&frames, socket, &mut changed).await {
                    break;
                }
                if begun.elapsed() >= LASTED {
                    attempt = 0;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::debug!("telemetry cannot be sent: {error}");
                }
            }
        }
        // Whoever leaves does not wait for an engine that is not there.
        if closed() {
            break;
        }
        let pause = tokio::time::sleep(Backoff::default().pause(attempt));
        attempt += 1;
        tokio::select! {
            () = pause => {}
            _ = changed.wait_for(|state| *state != State::Open) => {}
        }
    }
    frames.state.send_replace(State::Done);
}

/// Sends frames over a socket. Whether everything was sent, and nothing more comes.
async fn pump(
    frames: &Frames,
    mut socket: ChannelSocket,
    changed: &mut watch::Receiver<State>,
) -> bool {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    let mut heard = Instant::now();
    loop {
        changed.mark_unchanged();
        while let Some(frame) = frames.pop() {
            let sent = timeout(SILENCE, socket.send(Message::Binary(frame.clone()))).await;
            if !matches!(sent, Ok(Ok(()))) {
                frames.unpop(frame);
                return false;
            }
        }
        if *changed.borrow() != State::Open {
            // A proper end makes the engine read everything before.
            let ending = async {
                let _ = socket.close().await;
                while matches!(socket.next().await, Some(Ok(_))) {}
            };
            let _ = timeout(Duration::from_secs(1), ending).await;
            return true;
        }
        tokio::select! {
            next = socket.next() => match next {
                Some(Ok(frame)) if !frame.is_close() => heard = Instant::now(),
                _ => return false,
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE || socket.send(Message::Ping(Bytes::new())).await.is_err() {
                    return false;
                }
            }
            _ = changed.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_frames_give_way_and_are_counted() {
        let frames = Frames::default();
        for n in 0..FRAMES + 5 {
            frames.push("OTLP", n.to_string().as_bytes());
        }
        assert_eq!(frames.dropped(), 5);
        assert_eq!(frames.pop().unwrap(), "OTLP5");
        let large = vec![b'x'; FRAME];
        for _ in 0..10 {
            frames.push("LOGS", &large);
        }
        let waiting = frames.lock();
        assert!(waiting.bytes <= BYTES && waiting.frames.len() <= 4, "{}", waiting.bytes);
        let bytes: usize = waiting.frames.iter().map(Bytes::len).sum();
        assert_eq!(waiting.bytes, bytes);
    }

    #[test]
    fn a_frame_that_is_too_long_is_dropped_alone() {
        let frames = Frames::default();
        frames.push("OTLP", b"{}");
        frames.push("OTLP", &vec![b'x'; FRAME + 1]);
        assert_eq!((frames.dropped(), frames.lock().frames.len()), (1, 1));
        frames.close();
        frames.push("OTLP", b"{}");
        assert_eq!((frames.dropped(), frames.lock().frames.len()), (2, 1));
    }
}
