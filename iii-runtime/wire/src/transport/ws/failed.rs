//! Closing a connection whose incoming frames cannot be read, with a close frame that tells the peer why.

use std::time::Duration;

use futures_util::stream::SplitStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::writer::{CLOSE_TIMEOUT, Sink};

/// How long a failed connection is drained.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A failed read: the reading half, and the close frame for the peer.
pub(super) struct FailedConnection<S> {
    pub(super) frames: SplitStream<WebSocketStream<S>>,
    pub(super) close: CloseFrame,
}

impl<S> FailedConnection<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// The close frame for an error of the peer; `None` if the peer could not receive it.
    pub(super) fn close_frame_for(error: &Error) -> Option<CloseFrame> {
        let (code, reason) = match error {
            Error::Capacity(error) => (CloseCode::Size, error.to_string()),
            Error::Protocol(error) => (CloseCode::Protocol, error.to_string()),
            Error::Utf8(_) => (CloseCode::Invalid, "text must be UTF-8".to_owned()),
            _ => return None,
        };
        // A control frame holds at most 125 bytes (RFC 6455, section 5.5).
        let reason: String = reason.chars().filter(char::is_ascii).take(120).collect();
        Some(CloseFrame { code, reason: reason.into() })
    }

    /// Closes the socket with the reason and drains it for a while: TCP resets a socket that is closed with unread
    /// data, which would discard the close frame.
    pub(super) async fn close(self, sink: Sink<S>) {
        let Ok(mut socket) = sink.reunite(self.frames) else { return };
        if !matches!(timeout(CLOSE_TIMEOUT, socket.close(Some(self.close))).await, Ok(Ok(()))) {
            return;
        }
        let mut socket = socket.into_inner();
        let drain = async {
            let _ = socket.shutdown().await;
            let mut rest = [0; 8192];
            while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        };
        let _ = timeout(DRAIN_TIMEOUT, drain).await;
    }
}
