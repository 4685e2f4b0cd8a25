//! Connections over a WebSocket: one JSON message per text frame, kept alive by pings ([protocol 1.3](crate::protocol#s1-3), [1.4](crate::protocol#s1-4)).

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

use super::{
    ChannelError, ChannelSocket, ConnectError, Connection, Outbox, OutboxLimits, Transport,
};
use crate::protocol::ChannelRef;

/// Bytes that an engine may add to a message of the maximum size.
const ENVELOPE_BYTES: usize = 64 << 10;
/// Size of the read buffer. It is allocated for the lifetime of the connection, so it is small.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// Prefixes of binary frames that carry telemetry ([protocol 1.6](crate::protocol#s1-6)).
const TELEMETRY_PREFIXES: [&[u8]; 3] = [b"OTLP", b"MTRC", b"LOGS"];

/// Handles the telemetry frames of a connection one at a time: reading resumes when the future completes.
pub type TelemetryHandler = Arc<dyn Fn(Bytes) -> BoxFuture<'static, ()> + Send + Sync>;

/// Detection of dead peers that TCP does not report.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// The interval of pings. Default 20 s.
    pub interval: Duration,
    /// A connection that receives nothing for this long is closed. Default 60 s.
    pub timeout: Duration,
}

impl Default for Heartbeat {
    #[inline]
    fn default() -> Self {
        Self { interval: Duration::from_secs(20), timeout: Duration::from_secs(60) }
    }
}

/// Connects to an engine over a WebSocket.
#[derive(Debug, Clone)]
pub struct WsTransport {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    connect_timeout: Duration,
    heartbeat: Heartbeat,
    limits: OutboxLimits,
}

impl WsTransport {
    /// Creates a transport to the engine at `url`, such as `ws://127.0.0.1:49134`.
    ///
    /// # Errors
    ///
    /// If the URL is not a valid WebSocket URL, or is a `wss://` URL and the feature `tls` is disabled.
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
                    "`{url}` requires TLS: enable the feature `tls` of iii-runtime"
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
            limits: OutboxLimits::default(),
        })
    }

    /// Adds a header to the handshake.
    ///
    /// # Errors
    ///
    /// If the name or the value is invalid in HTTP.
    #[inline]
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        let bad =
            |what: &str| ConnectError::permanent(format!("`{what}` is invalid in an HTTP header"));
        let name = name.parse().map_err(|_| bad(name))?;
        let value = value.parse().map_err(|_| bad("the value"))?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// Sets the heartbeat. Default: [`Heartbeat::default`].
    #[must_use]
    #[inline]
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Performs the handshake with `url`; `Err(None)` if the engine answered 404.
    async fn open(&self, url: &str) -> Result<ClientSocket, Option<ConnectError>> {
        let mut request = url
            .into_client_request()
            .map_err(|error| Some(ConnectError::permanent(error.to_string())))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let max_bytes = self.limits.message.saturating_add(ENVELOPE_BYTES);
        let config = config(max_bytes, max_bytes);
        let handshake = connect_async_with_config(request, Some(config), true);
        match timeout(self.connect_timeout, handshake).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) if response.status() == 404 => Err(None),
            Ok(Err(error)) => Err(Some(ConnectError::unreachable(format!("{self}: {error}")))),
            Err(_) => Err(Some(ConnectError::unreachable(format!(
                "{self} did not respond within {:?}",
                self.connect_timeout
            )))),
        }
    }

    /// The URL of an endpoint of a channel: below the path of the engine's URL, whose query, such as a token, is kept.
    fn channel_url(&self, at: &ChannelRef) -> String {
        let (base, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mut url = format!("{}{}", base.trim_end_matches('/'), at.path_and_query());
        if !query.is_empty() {
            url.push('&');
            url.push_str(query);
        }
        url
    }

    /// The URL for telemetry: below the path of the engine's URL, whose query is kept ([protocol 10.1](crate::protocol#s10-1)).
    #[inline]
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
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        async move {
            match self.open(&self.url).await {
                Ok(socket) => Ok(connection(socket, self.heartbeat, self.limits)),
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
                Err(None) => {
                    Err(ConnectError::unreachable(format!("{self} does not accept telemetry")))
                }
            }
        }
        .boxed()
    }
}

impl fmt::Display for WsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may contain a token.
        f.write_str(self.url.split('?').next().unwrap_or(&self.url))
    }
}

/// The socket type of client connections.
pub type ClientSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The WebSocket configuration for a maximum frame size and a maximum message size.
pub fn config(frame_bytes: usize, message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_frame_size(Some(frame_bytes))
        .max_message_size(Some(message_bytes))
}

/// Creates a connection from an open WebSocket of either side. Telemetry frames are dropped.
pub fn connection<S>(
    socket: WebSocketStream<S>,
    heartbeat: Heartbeat,
    limits: OutboxLimits,
) -> Connection
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connection_with_telemetry(socket, heartbeat, limits, None)
}

/// Like [`connection`], with a handler for telemetry frames.
pub fn connection_with_telemetry<S>(
    socket: WebSocketStream<S>,
    heartbeat: Heartbeat,
    limits: OutboxLimits,
    telemetry: Option<TelemetryHandler>,
) -> Connection
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, stream) = socket.split();
    let (outbox, queue) = Outbox::new(limits);
    // The reader ends when the writer does and vice versa, so that neither half outlives the connection.
    let (alive, ended) = oneshot::channel::<Infallible>();
    let (reading, stopped_reading) = oneshot::channel::<Infallible>();
    let (failing, failed) = oneshot::channel();
    tokio::spawn(async move {
        let _alive = alive;
        writer::write(sink, queue, heartbeat, failed, stopped_reading).await;
    });
    let silence = heartbeat.timeout;
    let inbox = Inbox::new(stream, silence, ended, reading, failing, telemetry);
    Connection { outbox, inbox: inbox.boxed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{self, Message};
    use futures_util::SinkExt;
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::Message as Frame;

    async fn connected(heartbeat: Heartbeat) -> (WebSocketStream<TcpStream>, Connection) {
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
    fn channel_url_keeps_the_query_of_the_engine() {
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
    fn telemetry_url_keeps_the_query_of_the_engine() {
        let url = |url: &str| WsTransport::new(url).unwrap().telemetry_url();
        assert_eq!(url("ws://h:1"), "ws://h:1/otel");
        assert_eq!(url("ws://h/base/?token=t"), "ws://h/base/otel?token=t");
    }

    #[tokio::test]
    async fn invalid_frames_are_reported_and_the_connection_stays_open() {
        let (mut peer, mut connection) = connected(Heartbeat::default()).await;
        for frame in [
            Frame::text("not json"),
            Frame::text(r#"{"type":"nobody"}"#),
            Frame::text(r#"{"type":5}"#),
            Frame::binary(&b"\xff\xfe"[..]),
        ] {
            peer.send(frame).await.unwrap();
            let next = connection.inbox.next().await;
            assert!(matches!(next, Some(Message::Invalid(_))), "{next:?}");
        }
        for frame in [
            Frame::text(" "),
            Frame::binary(&b"OTLP{}"[..]),
            Frame::binary(&br#"{"type":"ping"}"#[..]),
        ] {
            peer.send(frame).await.unwrap();
        }
        assert_eq!(connection.inbox.next().await, Some(Message::Ping));
    }

    #[tokio::test]
    async fn silent_peer_times_out() {
        let heartbeat =
            Heartbeat { interval: Duration::from_millis(10), timeout: Duration::from_millis(50) };
        // The peer never reads, so it never answers the pings.
        let (_peer, mut connection) = connected(heartbeat).await;
        assert_eq!(connection.inbox.next().await, None);
    }

    #[tokio::test]
    async fn pings_keep_an_idle_connection_open() {
        let heartbeat =
            Heartbeat { interval: Duration::from_millis(10), timeout: Duration::from_millis(200) };
        let (mut peer, mut connection) = connected(heartbeat).await;
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
        assert_eq!(connection.inbox.next().await, Some(Message::Pong));
        pings.await.unwrap();
    }

    #[tokio::test]
    async fn close_is_sent_after_queued_messages() {
        let (mut peer, connection) = connected(Heartbeat::default()).await;
        connection.outbox.send(Message::Ping).unwrap();
        connection.outbox.close(Some(1012));
        assert_eq!(peer.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"ping"}"#));
        let Frame::Close(Some(close)) = peer.next().await.unwrap().unwrap() else { panic!() };
        assert_eq!(u16::from(close.code), 1012);
    }

    #[test]
    fn invalid_url_is_a_permanent_error() {
        for url in ["", "localhost", "http://localhost:1", "ws://"] {
            let error = WsTransport::new(url).unwrap_err();
            assert!(error.is_permanent(), "{url}: {error}");
        }
    }

    #[test]
    fn token_in_the_url_is_not_displayed() {
        let transport = WsTransport::new("ws://engine:49134/?token=secret").unwrap();
        assert_eq!(transport.to_string(), "ws://engine:49134/");
    }
}
