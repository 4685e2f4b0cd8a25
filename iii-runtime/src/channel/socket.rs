//! The socket of one end: opened when it is first used, and what its frames and its end mean.

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

/// How far an end is.
pub(super) enum Socket {
    /// Not opened.
    Idle(Idle),
    /// The handshake goes on.
    Opening(Fuse<BoxFuture<'static, Result<ChannelSocket>>>),
    /// It is open.
    Open(ChannelSocket),
    /// Everything was read or written, or it failed, and that was told.
    Ended,
}

/// An end that nobody has used here.
pub(super) struct Idle {
    at: ChannelRef,
    /// What opens it; `None` if it was read outside of any worker.
    pub(super) session: Option<Arc<Session>>,
    /// Somebody else has the ref now.
    given: Cell<bool>,
}

impl Socket {
    pub(super) fn new(at: ChannelRef, session: Option<Arc<Session>>) -> Self {
        Self::Idle(Idle { at, session, given: Cell::new(false) })
    }

    /// What opens this end, for somebody else; an error if it is in use here, so that nobody else can open it.
    pub(super) fn give(&self) -> Result<&ChannelRef, &'static str> {
        match self {
            Self::Idle(idle) => {
                idle.given.set(true);
                Ok(&idle.at)
            }
            _ => Err("an end of a channel that is in use here cannot be given away"),
        }
    }

    /// The open socket; opens it the first time. `None`: it has ended.
    pub(super) fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<&mut ChannelSocket>>> {
        if let Self::Idle(idle) = self {
            let opening = open(idle.at.clone(), idle.session.take()).boxed();
            *self = Self::Opening(opening.fuse());
        }
        if let Self::Opening(opening) = self {
            let opened = ready!(Pin::new(opening).poll(context));
            *self = Self::Ended;
            *self = Self::Open(opened?);
        }
        Poll::Ready(Ok(match self {
            Self::Open(socket) => Some(socket),
            _ => None,
        }))
    }

    /// The next frame that carries something. `None`: the other side has ended it well. After that, and after an error,
    /// the socket is gone.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        loop {
            let Some(socket) = ready!(self.poll_open(context))? else { return Poll::Ready(None) };
            let end = match ready!(Pin::new(socket).poll_next(context)) {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    return Poll::Ready(Some(Ok(message)));
                }
                Some(Ok(Message::Close(close))) => {
                    // Other codes say that something went wrong on the other side.
                    match close {
                        Some(close) if !matches!(close.code, CloseCode::Normal) => {
                            Some(Err(broken(&format!("it closed with the code {}", close.code))))
                        }
                        _ => None,
                    }
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(broken(&error.to_string()))),
                None => Some(Err(broken("the link was lost"))),
            };
            *self = Self::Ended;
            return Poll::Ready(end);
        }
    }
}

impl Drop for Socket {
    /// Who has an end and leaves without using it, as a handler that fails early does, must not let the other side wait
    /// until the engine gives the channel up: it is opened, so that its end is seen.
    fn drop(&mut self) {
        // What deserialising tries and drops, as an untagged enum does, is not the end that the handler gets.
        if scope::is_active() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let opening = match self {
            Self::Idle(idle) if idle.session.is_some() && !idle.given.get() => {
                open(idle.at.clone(), idle.session.take()).boxed().fuse()
            }
            Self::Opening(opening) if !opening.is_terminated() => {
                mem::replace(opening, Fuse::terminated())
            }
            _ => return,
        };
        runtime.spawn(async move { drop(opening.await) });
    }
}

async fn open(at: ChannelRef, session: Option<Arc<Session>>) -> Result<ChannelSocket> {
    let Some(session) = session else {
        let text = "an end of a channel was read outside of a worker: give it one with `attach`";
        return Err(Error::new(code::NOT_CONNECTED, text));
    };
    session.open_channel(&at).await.map_err(|error| match error {
        ChannelError::NotFound => Error::new(
            code::CHANNEL_NOT_FOUND,
            format!(
                "the engine has no channel `{}`: it has ended, or was not opened within five minutes",
                at.channel_id
            ),
        ),
        ChannelError::Failed(error) => {
            let text = format!("the channel could not be opened: {error}");
            Error::new(code::NOT_CONNECTED, text)
        }
    })
}

fn broken(why: &str) -> Error {
    Error::new(
        code::CHANNEL_BROKEN,
        format!("the other side of the channel left before the end: {why}"),
    )
}

/// The error of a write: the reader has gone, or the link is lost.
pub(super) fn not_written(error: &tungstenite::Error) -> Error {
    broken(&error.to_string())
}

/// Checks that a ref is for the side that it is used as.
pub(crate) fn check_direction(at: &ChannelRef, wanted: ChannelDirection) -> Result<(), String> {
    if at.direction == wanted {
        return Ok(());
    }
    Err(format!(
        "the ref opens the side that can {}, and the side that can {} is wanted",
        at.direction.as_str(),
        wanted.as_str()
    ))
}
