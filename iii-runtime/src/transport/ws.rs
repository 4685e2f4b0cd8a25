//! Links over a WebSocket: one JSON message a text frame, heartbeat by ping (protocol sections 1.3 and 1.4).

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream, Stream, StreamExt};
use futures_util::{FutureExt, SinkExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::{ConnectError, Limits, Link, Outbox, OutboxReader, Transport};
use crate::protocol::{self, Message};

/// The first bytes of binary frames that carry telemetry and no messages (protocol section 1.6).
const TELEMETRY: [&[u8]; 3] = [b"OTLP", b"MTRC", b"LOGS"];

/// Bytes that are read from a socket at a time.
const READ_BUFFER: usize = 16 << 10;

/// How a side notices that the other one is gone although TCP does not say so.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// A ping is sent this often. Default 20 s.
    pub every: Duration,
    /// A link on which nothing came for this long is given up. Default 60 s.
    pub give_up_after: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { every: Duration::from_secs(20), give_up_after: Duration::from_secs(60) }
    }
}

/// Reaches an engine over a WebSocket.
#[derive(Debug, Clone)]
pub struct WsTransport {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    connect_timeout: Duration,
    heartbeat: Heartbeat,
    limits: Limits,
}

impl WsTransport {
    /// A transport to the engine at `url`, such as `ws://127.0.0.1:49134`.
    ///
    /// # Errors
    ///
    /// If the text is no WebSocket URL.
    pub fn new(url: impl Into<String>) -> Result<Self, ConnectError> {
        let url = url.into();
        let request = url.as_str().into_client_request().map_err(|error| {
            ConnectError::permanent(format!(
                "`{url}` is not a WebSocket URL such as ws://127.0.0.1:49134: {error}"
            ))
        })?;
        match request.uri().scheme_str() {
            Some("ws") => {}
            Some("wss") if cfg!(feature = "tls") => {}
            Some("wss") => {
                return Err(ConnectError::permanent(format!(
                    "`{url}` needs TLS: turn on the feature `tls` of iii-runtime"
                )));
            }
            _ => {
                return Err(ConnectError::permanent(format!(
                    "`{url}` must begin with ws:// or wss://"
                )));
            }
        }
        Ok(Self {
            url,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            heartbeat: Heartbeat::default(),
            limits: Limits::default(),
        })
    }

    /// Adds a header to the handshake, for engines that ask for one.
    ///
    /// # Errors
    ///
    /// If the name or the value is not allowed in HTTP.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        let bad = |what: &str| {
            ConnectError::permanent(format!("`{what}` cannot be part of an HTTP header"))
        };
        let name = name.parse().map_err(|_| bad(name))?;
        let value = value.parse().map_err(|_| bad("the value"))?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// Sets how a lost engine is noticed. Default: [`Heartbeat::default`].
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    async fn open(&self) -> Result<Link, ConnectError> {
        let mut request = self
            .url
            .as_str()
            .into_client_request()
            .map_err(|error| ConnectError::permanent(error.to_string()))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let handshake = connect_async_with_config(request, Some(config()), true);
        let (socket, _) = tokio::time::timeout(self.connect_timeout, handshake)
            .await
            .map_err(|_| {
                ConnectError::unreachable(format!(
                    "{} did not answer within {:?}",
                    self.url, self.connect_timeout
                ))
            })?
            .map_err(|error| ConnectError::unreachable(format!("{}: {error}", self.url)))?;
        Ok(link(socket, self.heartbeat, self.limits))
    }
}

impl Transport for WsTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectError>> {
        self.open().boxed()
    }
}

impl fmt::Display for WsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may hold a token.
        f.write_str(self.url.split('?').next().unwrap_or(&self.url))
    }
}

/// The socket type of outgoing connections.
pub type ClientSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The settings of a WebSocket, for either side of it.
///
/// The library clears as much of its buffer before each read as one read may fill. Messages are small, so a small buffer
/// costs less in time, and a connection that does nothing less in memory; a large message gets the room that it needs.
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER)
}

/// Makes a link of an open WebSocket, on either side of it.
pub fn link<S>(socket: WebSocketStream<S>, heartbeat: Heartbeat, limits: Limits) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, frames) = socket.split();
    let (outbox, reader) = Outbox::new(limits);
    // The reader ends when the writer gives up, and the other way round: neither half outlives the link.
    let (alive, ended) = oneshot::channel();
    let (reading, stopped_reading) = oneshot::channel();
    tokio::spawn(async move {
        let _alive = alive;
        tokio::select! {
            () = write(sink, reader, heartbeat) => {}
            _ = stopped_reading => {}
        }
    });
    let silence = Silence::new(heartbeat.give_up_after);
    let inbox = Inbox { frames, silence, ended, over: false, _reading: reading };
    Link { outbox, inbox: inbox.boxed() }
}

/// Sends what is queued, as many messages at a time as are waiting, and pings in between.
async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Frame>,
    mut queue: OutboxReader,
    heartbeat: Heartbeat,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut ping = tokio::time::interval(heartbeat.every);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            _ = ping.tick() => {
                let sent = sink.send(Frame::Ping(Bytes::new()));
                if !matches!(tokio::time::timeout(heartbeat.give_up_after, sent).await, Ok(Ok(()))) {
                    return;
                }
                continue;
            }
        };
        let Some(message) = next else {
            let frame = queue.close_code().map(|code| CloseFrame {
                code: CloseCode::from(code),
                reason: Utf8Bytes::default(),
            });
            let close = async {
                let _ = sink.send(Frame::Close(frame)).await;
                let _ = sink.close().await;
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
            return;
        };
        let batch = async {
            let mut next = Some(message);
            while let Some(message) = next {
                sink.feed(Frame::text(protocol::encode(&message))).await?;
                next = queue.try_recv();
            }
            sink.flush().await
        };
        // A peer that takes nothing for so long is as good as gone.
        if !matches!(tokio::time::timeout(heartbeat.give_up_after, batch).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Ends when the other half of a link does.
type Signal = oneshot::Receiver<Infallible>;

/// The messages of the other side. Frames that are none are logged and dropped.
struct Inbox<S> {
    frames: SplitStream<WebSocketStream<S>>,
    silence: Silence,
    ended: Signal,
    over: bool,
    /// Tells the other half that somebody reads.
    _reading: oneshot::Sender<Infallible>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Inbox<S> {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = self.get_mut();
        while !this.over && this.ended.poll_unpin(context).is_pending() {
            match this.frames.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(Frame::Close(_))) | None) => break,
                Poll::Ready(Some(Ok(frame))) => {
                    this.silence.broken();
                    if let Some(message) = message(frame) {
                        return Poll::Ready(Some(message));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "the WebSocket failed");
                    break;
                }
                Poll::Pending if this.silence.poll_too_long(context).is_pending() => {
                    return Poll::Pending;
                }
                Poll::Pending => {
                    let limit = this.silence.limit;
                    tracing::warn!("nothing came for {limit:?}, the link is given up");
                    break;
                }
            }
        }
        this.over = true;
        Poll::Ready(None)
    }
}

/// The message in a frame, if it is one.
fn message(frame: Frame) -> Option<Message> {
    let text = match frame {
        Frame::Text(text) => ByteString::try_from(Bytes::from(text)),
        Frame::Binary(bytes) if TELEMETRY.iter().any(|p| bytes.starts_with(p)) => return None,
        Frame::Binary(bytes) => ByteString::try_from(bytes),
        Frame::Close(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => return None,
    };
    let Ok(text) = text else {
        tracing::warn!("a frame that is not UTF-8 was dropped");
        return None;
    };
    protocol::decode(&text).unwrap_or_else(|error| {
        tracing::warn!("a frame was dropped: {error}");
        None
    })
}

/// Notices that nothing has come for too long.
///
/// One timer for the whole life of a link: a timer for each frame would be set and taken back for each frame. When it
/// is due, it is set again by the time since the last frame.
struct Silence {
    limit: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self { limit, last: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// Something has come.
    fn broken(&mut self) {
        self.last = Instant::now();
    }

    fn poll_too_long(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.poll_unpin(context));
            let due = self.last + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn linked(heartbeat: Heartbeat) -> (WebSocketStream<TcpStream>, Link) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let transport = WsTransport::new(url).unwrap().heartbeat(heartbeat);
        let (client, server) = tokio::join!(transport.connect(), async {
            let (socket, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(socket).await.unwrap()
        });
        (server, client.unwrap())
    }

    #[tokio::test]
    async fn bad_frames_are_dropped_and_the_link_lives_on() {
        let (mut peer, mut link) = linked(Heartbeat::default()).await;
        for frame in [
            Frame::text("not json"),
            Frame::text(r#"{"type":"nobody"}"#),
            Frame::text(r#"{"type":5}"#),
            Frame::text(" "),
            Frame::binary(&b"OTLP{}"[..]),
            Frame::binary(&b"\xff\xfe"[..]),
            Frame::binary(&br#"{"type":"ping"}"#[..]),
        ] {
            peer.send(frame).await.unwrap();
        }
        assert_eq!(link.inbox.next().await, Some(Message::Ping));
    }

    #[tokio::test]
    async fn a_silent_peer_is_given_up() {
        let heartbeat = Heartbeat {
            every: Duration::from_millis(10),
            give_up_after: Duration::from_millis(50),
        };
        // The peer never reads, so it never answers the pings.
        let (_peer, mut link) = linked(heartbeat).await;
        assert_eq!(link.inbox.next().await, None);
    }

    #[tokio::test]
    async fn pings_keep_a_quiet_link_open() {
        let heartbeat = Heartbeat {
            every: Duration::from_millis(10),
            give_up_after: Duration::from_millis(200),
        };
        let (mut peer, mut link) = linked(heartbeat).await;
        let pings = tokio::spawn(async move {
            let mut pings = 0;
            while pings < 30 {
                if let Some(Ok(Frame::Ping(_))) = peer.next().await {
                    pings += 1;
                }
            }
            peer.send(Frame::text(r#"{"type":"pong"}"#)).await.unwrap();
            peer
        });
        assert_eq!(link.inbox.next().await, Some(Message::Pong));
        pings.await.unwrap();
    }

    #[tokio::test]
    async fn a_close_is_sent_after_what_was_queued() {
        let (mut peer, link) = linked(Heartbeat::default()).await;
        link.outbox.send(Message::Ping).unwrap();
        link.outbox.close(Some(1012));
        assert_eq!(peer.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"ping"}"#));
        let Frame::Close(Some(close)) = peer.next().await.unwrap().unwrap() else { panic!() };
        assert_eq!(u16::from(close.code), 1012);
    }

    #[test]
    fn a_bad_url_says_what_is_expected() {
        for url in ["", "localhost", "http://localhost:1", "ws://"] {
            let error = WsTransport::new(url).unwrap_err();
            assert!(error.is_permanent(), "{url}: {error}");
        }
    }

    #[test]
    fn a_token_in_the_url_is_not_shown() {
        let transport = WsTransport::new("ws://engine:49134/?token=secret").unwrap();
        assert_eq!(transport.to_string(), "ws://engine:49134/");
    }
}
