//! Links over a WebSocket: one JSON message a text frame, heartbeat by ping (protocol sections 1.3 and 1.4).

mod failed;
mod inbox;
mod writer;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use inbox::Inbox;

use super::{ChannelError, ChannelSocket, ConnectError, Limits, Link, Outbox, Transport};
use crate::protocol::ChannelRef;

/// What an engine may add to a message that just fits.
const ADDED: usize = 64 << 10;
/// What is read at once. The buffer is there for as long as the connection, so it is small.
const READ_BUFFER: usize = 16 << 10;

/// The first bytes of binary frames that carry telemetry and no messages (protocol section 1.6).
const TELEMETRY: [&[u8]; 3] = [b"OTLP", b"MTRC", b"LOGS"];

/// Takes the telemetry frames of a link, one after the other: the link reads on when the future is done.
pub type Telemetry = Arc<dyn Fn(Bytes) -> BoxFuture<'static, ()> + Send + Sync>;

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
        let most = self.limits.message.saturating_add(ADDED);
        let config = config(most, most);
        let handshake = connect_async_with_config(request, Some(config), true);
        match timeout(self.connect_timeout, handshake).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) if response.status() == 404 => Err(None),
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

    /// Where telemetry is sent: below the path of the engine's address, whose query stays (protocol section 10.1).
    fn telemetry_url(&self) -> String {
        let (base, query) = match self.url.split_once('?') {
            Some((base, query)) => (base, Some(query)),
            None => (&*self.url, None),
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}/otel{query}", base.trim_end_matches('/'))
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

    fn open_telemetry(&self) -> BoxFuture<'_, Result<ChannelSocket, ConnectError>> {
        async move {
            match self.open(&self.telemetry_url()).await {
                Ok(socket) => Ok(Box::new(socket) as ChannelSocket),
                Err(Some(error)) => Err(error),
                Err(None) => Err(ConnectError::unreachable(format!("{self} takes no telemetry"))),
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

/// How a socket is read and written: frames and messages of at most so many bytes.
pub fn config(frame_bytes: usize, message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_frame_size(Some(frame_bytes))
        .max_message_size(Some(message_bytes))
}

/// Makes a link of an open WebSocket, on either side of it. Telemetry frames are dropped.
pub fn link<S>(socket: WebSocketStream<S>, heartbeat: Heartbeat, limits: Limits) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    link_with_telemetry(socket, heartbeat, limits, None)
}

/// Like [`link`], for a side to which telemetry is sent as well.
pub fn link_with_telemetry<S>(
    socket: WebSocketStream<S>,
    heartbeat: Heartbeat,
    limits: Limits,
    telemetry: Option<Telemetry>,
) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, stream) = socket.split();
    let (outbox, queue) = Outbox::new(limits);
    // The reader ends when the writer gives up, and the other way round: neither half outlives the link.
    let (alive, ended) = oneshot::channel::<Infallible>();
    let (reading, stopped_reading) = oneshot::channel::<Infallible>();
    let (failing, failed) = oneshot::channel();
    tokio::spawn(async move {
        let _alive = alive;
        writer::write(sink, queue, heartbeat, failed, stopped_reading).await;
    });
    let silence = heartbeat.give_up_after;
    let inbox = Inbox::new(stream, silence, ended, reading, failing, telemetry);
    Link { outbox, inbox: inbox.boxed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{self, Message};
    use futures_util::SinkExt;
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::Message as Frame;

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

    #[test]
    fn the_address_for_telemetry_keeps_the_query_of_the_engine() {
        let url = |url: &str| WsTransport::new(url).unwrap().telemetry_url();
        assert_eq!(url("ws://h:1"), "ws://h:1/otel");
        assert_eq!(url("ws://h/base/?token=t"), "ws://h/base/otel?token=t");
    }

    #[tokio::test]
    async fn bad_frames_are_told_and_the_link_lives_on() {
        let (mut peer, mut link) = linked(Heartbeat::default()).await;
        for frame in [
            Frame::text("not json"),
            Frame::text(r#"{"type":"nobody"}"#),
            Frame::text(r#"{"type":5}"#),
            Frame::binary(&b"\xff\xfe"[..]),
        ] {
            peer.send(frame).await.unwrap();
            let next = link.inbox.next().await;
            assert!(matches!(next, Some(Message::Invalid(_))), "{next:?}");
        }
        for frame in [
            Frame::text(" "),
            Frame::binary(&b"OTLP{}"[..]),
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
