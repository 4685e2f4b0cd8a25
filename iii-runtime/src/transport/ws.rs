//! Links over a WebSocket: one JSON message a text frame, heartbeat by ping (protocol sections 1.3 and 1.4).

use std::fmt;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, SplitSink, SplitStream, Stream, StreamExt};
use futures_util::{FutureExt, SinkExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame as RawFrame};
use tokio_tungstenite::tungstenite::{self, Bytes, Message as Frame, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::{
    ChannelError, ChannelSocket, ConnectError, Limits, Link, Outbox, OutboxReader, Transport,
};
use crate::protocol::{self, ChannelRef, Message};

/// The first bytes of binary frames that carry telemetry and no messages (protocol section 1.6).
const TELEMETRY: [&[u8]; 3] = [b"OTLP", b"MTRC", b"LOGS"];

/// The size of one message, and of one frame too: some SDKs send every message in one frame (protocol section 1.3).
pub(crate) const MESSAGE: usize = 64 << 20;
/// What an engine may add to a message that just fits.
const ADDED: usize = 64 << 10;
/// A longer message is sent in pieces: the official engine and other peers take no longer frames.
const ONE_FRAME: usize = 16 << 20;
/// The size of a piece.
const PIECE: usize = 1 << 20;

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

    /// Does the handshake with `url`; `Err(None)`: the engine answered 404.
    async fn open(&self, url: &str) -> Result<ClientSocket, Option<ConnectError>> {
        let mut request = url
            .into_client_request()
            .map_err(|error| Some(ConnectError::permanent(error.to_string())))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let most = Some(MESSAGE + ADDED);
        let config = WebSocketConfig::default().max_frame_size(most).max_message_size(most);
        let handshake = connect_async_with_config(request, Some(config), true);
        match tokio::time::timeout(self.connect_timeout, handshake).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(tungstenite::Error::Http(response))) if response.status() == 404 => Err(None),
            Ok(Err(error)) => Err(Some(ConnectError::unreachable(format!("{self}: {error}")))),
            Err(_) => Err(Some(ConnectError::unreachable(format!(
                "{self} did not answer within {:?}",
                self.connect_timeout
            )))),
        }
    }

    /// Where a side of a channel is opened: below the path of the engine's address, whose query is a token or the like
    /// and stays.
    fn channel_url(&self, at: &ChannelRef) -> String {
        let (base, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mut url = format!("{}{}", base.trim_end_matches('/'), at.path_and_query());
        if !query.is_empty() {
            url.push('&');
            url.push_str(query);
        }
        url
    }
}

impl Transport for WsTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectError>> {
        async move {
            match self.open(&self.url).await {
                Ok(socket) => Ok(link(socket, self.heartbeat, self.limits)),
                Err(Some(error)) => Err(error),
                Err(None) => Err(ConnectError::unreachable(format!(
                    "{self} answered 404: is it the port for workers?"
                ))),
            }
        }
        .boxed()
    }

    fn open_channel(&self, at: &ChannelRef) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>> {
        let url = self.channel_url(at);
        async move {
            match self.open(&url).await {
                Ok(socket) => Ok(Box::new(socket) as ChannelSocket),
                Err(None) => Err(ChannelError::NotFound),
                Err(Some(error)) => Err(ChannelError::Failed(error)),
            }
        }
        .boxed()
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

/// Makes a link of an open WebSocket, on either side of it.
pub fn link<S>(socket: WebSocketStream<S>, heartbeat: Heartbeat, limits: Limits) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, stream) = socket.split();
    let (outbox, reader) = Outbox::new(limits);
    // The reader ends when the writer gives up, and the other way round: neither half outlives the link.
    let (alive, ended) = tokio::sync::oneshot::channel::<std::convert::Infallible>();
    let (reading, mut stopped_reading) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let _alive = alive;
        let end = tokio::select! {
            end = write(&mut sink, reader, heartbeat) => end,
            code = stopped_reading.recv() => code.map(Some),
        };
        if let Some(code) = end {
            close(&mut sink, code).await;
        }
    });
    let inbox = read(stream, reading.clone(), heartbeat.give_up_after)
        .take_until(ended)
        // Holds the other half's signal for as long as somebody reads.
        .map(move |message| {
            let _ = &reading;
            message
        });
    Link { outbox, inbox: inbox.fuse().boxed() }
}

/// Sends what is queued, as many messages at a time as are waiting, and pings in between. `Some`: the other side is still
/// there, and the link is to be closed, with a code if there is one.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Frame>,
    mut queue: OutboxReader,
    heartbeat: Heartbeat,
) -> Option<Option<u16>>
where
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
                    return None;
                }
                continue;
            }
        };
        let Some(message) = next else { return Some(queue.close_code()) };
        let batch = async {
            let mut next = Some(message);
            while let Some(message) = next {
                for frame in frames(protocol::encode(&message)) {
                    sink.feed(frame).await?;
                }
                next = queue.try_recv();
            }
            sink.flush().await
        };
        // A peer that takes nothing for so long is as good as gone.
        if !matches!(tokio::time::timeout(heartbeat.give_up_after, batch).await, Ok(Ok(()))) {
            return None;
        }
    }
}

/// Says goodbye, as far as that is possible soon.
async fn close<S>(sink: &mut SplitSink<WebSocketStream<S>, Frame>, code: Option<u16>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = code.map(|code| CloseFrame { code: code.into(), reason: Utf8Bytes::default() });
    let closed = async {
        let _ = sink.send(Frame::Close(frame)).await;
        let _ = sink.close().await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
}

/// The frames of a message: one, or as many pieces as a long one needs.
fn frames(text: String) -> impl Iterator<Item = Frame> {
    let bytes = Bytes::from(text);
    let size = if bytes.len() <= ONE_FRAME { ONE_FRAME } else { PIECE };
    // A message is never empty.
    let last = bytes.len().div_ceil(size) - 1;
    (0..=last).map(move |n| {
        let kind = if n == 0 { Data::Text } else { Data::Continue };
        let piece = bytes.slice(n * size..bytes.len().min((n + 1) * size));
        Frame::Frame(RawFrame::message(piece, OpCode::Data(kind), n == last))
    })
}

/// The messages of the other side. Frames that are none are logged and dropped.
fn read<S>(
    frames: SplitStream<WebSocketStream<S>>,
    stop: tokio::sync::mpsc::Sender<u16>,
    give_up_after: Duration,
) -> impl Stream<Item = Message>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream::unfold((frames, stop), move |(mut frames, stop)| async move {
        loop {
            let frame = match tokio::time::timeout(give_up_after, frames.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(tungstenite::Error::Capacity(error)))) => {
                    tracing::warn!(
                        "a message was too long, so its link is ended ({error}): large data goes through a channel"
                    );
                    let _ = stop.try_send(CloseCode::Size.into());
                    // The link ends when that is told.
                    std::future::pending().await
                }
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "the WebSocket failed");
                    return None;
                }
                Ok(None) => return None,
                Err(_) => {
                    tracing::warn!("nothing came for {give_up_after:?}, the link is given up");
                    return None;
                }
            };
            let text = match frame {
                Frame::Text(text) => ByteString::try_from(Bytes::from(text)),
                Frame::Binary(bytes) if TELEMETRY.iter().any(|p| bytes.starts_with(p)) => continue,
                Frame::Binary(bytes) => ByteString::try_from(bytes),
                Frame::Close(_) => return None,
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => continue,
            };
            let Ok(text) = text else {
                tracing::warn!("a frame that is not UTF-8 was dropped");
                continue;
            };
            match protocol::decode(&text) {
                Ok(Some(message)) => return Some((message, (frames, stop))),
                Ok(None) => {}
                Err(error) => tracing::warn!("a frame was dropped: {error}"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::protocol::Role;

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

    #[test]
    fn the_address_of_a_channel_keeps_the_query_of_the_engine() {
        let at = ChannelRef {
            channel_id: "c".to_owned(),
            access_key: "k".to_owned(),
            direction: protocol::ChannelDirection::Read,
        };
        let url = |url: &str| WsTransport::new(url).unwrap().channel_url(&at);
        assert_eq!(url("ws://h:1"), "ws://h:1/ws/channels/c?key=k&dir=read");
        assert_eq!(url("ws://h/base/?token=t"), "ws://h/base/ws/channels/c?key=k&dir=read&token=t");
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

    #[tokio::test]
    async fn a_long_message_comes_in_pieces_and_goes_out_in_pieces() {
        let (mut peer, mut link) = linked(Heartbeat::default()).await;
        let long = format!(r#""{}""#, "x".repeat(ONE_FRAME));
        let text = format!(r#"{{"type":"invokefunction","function_id":"f","data":{long}}}"#);
        // In one frame, as some SDKs send it.
        let sent = peer.send(Frame::text(text));
        let (sent, got) = tokio::join!(sent, link.inbox.next());
        sent.unwrap();
        let Some(Message::InvokeFunction(call)) = &got else { panic!("{got:?}") };
        assert_eq!(call.data.as_str().len(), long.len());
        // The peer takes frames of 16 MiB, as the official engine does.
        link.outbox.send(got.unwrap()).unwrap();
        link.outbox.send(Message::Ping).unwrap();
        let back = peer.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(back.len() > ONE_FRAME && back.contains(&long));
        assert_eq!(peer.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"ping"}"#));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_ends_the_link_with_a_code() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let small = WebSocketConfig::default().max_frame_size(Some(1000));
        let near = WebSocketStream::from_raw_socket(near, Role::Server, Some(small)).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let mut link = link(near, Heartbeat::default(), Limits::default());
        far.send(Frame::text(" ".repeat(1001))).await.unwrap();
        let (ended, closed) = tokio::join!(link.inbox.next(), far.next());
        assert_eq!(ended, None);
        let Some(Ok(Frame::Close(Some(close)))) = closed else { panic!("{closed:?}") };
        assert_eq!(close.code, CloseCode::Size);
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
