//! The socket of a channel end, opened on first use, and the meaning of its frames and of its close.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream as _;
use futures_util::future::{BoxFuture, Fuse, FusedFuture, FutureExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::scope;
use crate::session::Session;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::transport::{ChannelError, ChannelSocket};
use iii_wire::{Error, Result, code};

/// A socket that is opened on first use.
pub(super) enum LazySocket {
    /// Not used yet.
    Idle(IdleEnd),
    /// The handshake is in progress.
    Opening(Fuse<BoxFuture<'static, Result<ChannelSocket>>>),
    /// Open.
    Open(ChannelSocket),
    /// Finished or failed, and the outcome was returned.
    Closed,
}

/// A channel end that is not used here yet.
pub(super) struct IdleEnd {
    channel_ref: ChannelRef,
    /// Opens the end; `None` if it was deserialised outside of a running worker.
    pub(super) session: Option<Arc<Session>>,
    /// Whether the reference was passed on.
    passed_on: Cell<bool>,
}

impl LazySocket {
    pub(super) fn new(channel_ref: ChannelRef, session: Option<Arc<Session>>) -> Self {
        Self::Idle(IdleEnd { channel_ref, session, passed_on: Cell::new(false) })
    }

    /// The reference that opens this end elsewhere. Fails if it is in use here, since an end can be opened only once.
    pub(super) fn pass_on(&self) -> Result<&ChannelRef, &'static str> {
        match self {
            Self::Idle(idle) => {
                idle.passed_on.set(true);
                Ok(&idle.channel_ref)
            }
            _ => Err("a channel end that is in use here cannot be passed on"),
        }
    }

    /// The open socket, opened on the first call. `None` once it is closed.
    pub(super) fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<&mut ChannelSocket>>> {
        if let Self::Idle(idle) = self {
            let opening = open(idle.channel_ref.clone(), idle.session.take()).boxed();
            *self = Self::Opening(opening.fuse());
        }
        if let Self::Opening(opening) = self {
            let opened = ready!(Pin::new(opening).poll(context));
            *self = Self::Closed;
            *self = Self::Open(opened?);
        }
        Poll::Ready(Ok(match self {
            Self::Open(socket) => Some(socket),
            _ => None,
        }))
    }

    /// The next text or binary frame. `None` if the other end finished. The socket is closed after that and after an error.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        loop {
            let Some(socket) = ready!(self.poll_open(context))? else { return Poll::Ready(None) };
            let outcome = match ready!(Pin::new(socket).poll_next(context)) {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    return Poll::Ready(Some(Ok(message)));
                }
                Some(Ok(Message::Close(close))) => {
                    // Any other code reports a failure of the other end.
                    match close {
                        Some(close) if !matches!(close.code, CloseCode::Normal) => {
                            let reason = format!("it closed with the code {}", close.code);
                            Some(Err(channel_broken(&reason)))
                        }
                        _ => None,
                    }
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(channel_broken(&error.to_string()))),
                None => Some(Err(channel_broken("the connection was lost"))),
            };
            *self = Self::Closed;
            return Poll::Ready(outcome);
        }
    }
}

impl Drop for LazySocket {
    /// Opens an end that was dropped unused, for example by a handler that failed early, so that the other end sees it
    /// close and does not wait for the engine's timeout.
    fn drop(&mut self) {
        // A speculative attempt of the deserialiser, as of an untagged enum, is not the end that the handler gets.
        if scope::is_active() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let opening = match self {
            Self::Idle(idle) if idle.session.is_some() && !idle.passed_on.get() => {
                open(idle.channel_ref.clone(), idle.session.take()).boxed().fuse()
            }
            Self::Opening(opening) if !opening.is_terminated() => {
                mem::replace(opening, Fuse::terminated())
            }
            _ => return,
        };
        runtime.spawn(async move { drop(opening.await) });
    }
}

async fn open(channel_ref: ChannelRef, session: Option<Arc<Session>>) -> Result<ChannelSocket> {
    let Some(session) = session else {
        let text = "the channel end was deserialised outside of a running worker: use `attach`";
        return Err(Error::new(code::NOT_CONNECTED, text));
    };
    session.open_channel(&channel_ref).await.map_err(|error| match error {
        ChannelError::NotFound => Error::new(
            code::CHANNEL_NOT_FOUND,
            format!(
                "the engine has no channel `{}`: it was closed, or not opened within five minutes",
                channel_ref.channel_id
            ),
        ),
        ChannelError::Failed(error) => {
            let text = format!("the channel could not be opened: {error}");
            Error::new(code::NOT_CONNECTED, text)
        }
    })
}

fn channel_broken(reason: &str) -> Error {
    Error::new(
        code::CHANNEL_BROKEN,
        format!("the other end of the channel closed before it finished: {reason}"),
    )
}

/// The error of a failed write: the reader is gone, or the connection was lost.
pub(super) fn write_failed(error: &tungstenite::Error) -> Error {
    channel_broken(&error.to_string())
}

/// Checks that a reference opens the expected end.
pub(crate) fn check_direction(
    channel_ref: &ChannelRef,
    expected: ChannelDirection,
) -> Result<(), String> {
    if channel_ref.direction == expected {
        return Ok(());
    }
    Err(format!(
        "expected the {} end of a channel, found the {} end",
        expected.as_str(),
        channel_ref.direction.as_str()
    ))
}
