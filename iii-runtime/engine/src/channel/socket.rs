//! The WebSocket side of a channel: forwards frames of the writer to the pipe, and messages of the pipe to the reader.

use std::time::Duration;

use futures_util::future::poll_fn;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::{
    ChannelDirection, ChannelMessage, ChannelReader, ChannelWriter, Channels, WriterDisconnected,
};
use iii_wire::protocol::ChannelRef;
use iii_wire::transport::local;

/// The ping interval of connections in this process, which cannot be lost silently.
const LOCAL_PING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// The time limit for the peer to complete the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How serving an endpoint ended.
enum SocketEnd {
    /// The connection is closed with a close frame, with this code if there is one.
    Close(Option<CloseCode>),
    /// The peer has disconnected.
    Disconnected,
}

/// Serves one endpoint of a channel until it ends. If the endpoint cannot be opened, closes the connection at once
/// ([protocol 7.2](iii_wire::protocol#s7-2)).
///
/// Pings every `ping_interval`, so that TCP detects a lost peer. Does not require pongs: an SDK that only writes need not
/// read.
pub(crate) async fn serve<S>(
    socket: WebSocketStream<S>,
    channels: &Channels,
    (id, key): (&str, &str),
    direction: ChannelDirection,
    ping_interval: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut socket = EndpointSocket::new(socket, ping_interval);
    let end = match direction {
        ChannelDirection::Read => match channels.open_reader(id, key) {
            Ok(reader) => socket.send_from(reader).await,
            Err(_) => SocketEnd::Close(None),
        },
        ChannelDirection::Write => match channels.open_writer(id, key) {
            Ok(writer) => socket.receive_into(writer).await,
            Err(_) => SocketEnd::Close(None),
        },
    };
    if let SocketEnd::Close(code) = end {
        socket.close(code).await;
    }
}

/// Serves one endpoint of a channel to a peer in this process, with the same frames as over a socket.
pub(crate) async fn serve_local(
    channels: Channels,
    at: ChannelRef,
    answer: oneshot::Sender<Option<DuplexStream>>,
) {
    let ChannelRef { channel_id, access_key, direction } = at;
    if !channels.contains(&channel_id, &access_key) {
        let _ = answer.send(None);
        return;
    }
    let (ours, theirs) = local::pipe();
    if answer.send(Some(theirs)).is_ok() {
        let socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let credentials = (channel_id.as_str(), access_key.as_str());
        serve(socket, &channels, credentials, direction, LOCAL_PING_INTERVAL).await;
    }
}

/// The WebSocket of one endpoint, with its pings.
struct EndpointSocket<S> {
    sink: SplitSink<WebSocketStream<S>, Message>,
    frames: SplitStream<WebSocketStream<S>>,
    pings: Interval,
}

impl<S> EndpointSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn new(socket: WebSocketStream<S>, ping_interval: Duration) -> Self {
        let (sink, frames) = socket.split();
        let mut pings = interval(ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        Self { sink, frames, pings }
    }

    /// Forwards received messages to the pipe. Does not read from the socket while the pipe is full.
    async fn receive_into(&mut self, mut writer: ChannelWriter) -> SocketEnd {
        loop {
            let frame = tokio::select! {
                frame = next_frame(&mut self.frames, &mut writer) => frame,
                _ = self.pings.tick() => match self.ping().await {
                    Ok(()) => continue,
                    Err(_) => return SocketEnd::Disconnected,
                },
            };
            let message = match frame {
                Some(Ok(Message::Text(text))) => ChannelMessage::Text(text),
                Some(Ok(Message::Binary(bytes))) => ChannelMessage::Binary(bytes),
                Some(Ok(Message::Close(close))) => {
                    // Any other code than 1000 reports a failure of the writer, so the data is incomplete.
                    if close.is_none_or(|close| close.code == CloseCode::Normal) {
                        writer.finish();
                    }
                    // Polling the socket sends the close frame that answers this one.
                    while let Ok(Some(Ok(_))) = timeout(CLOSE_TIMEOUT, self.frames.next()).await {}
                    return SocketEnd::Disconnected;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => {
                    tracing::debug!("the connection of a channel writer failed: {error}");
                    // A frame that is too long, for example. Dropping the writer reports incomplete data to the reader.
                    return SocketEnd::Close(Some(CloseCode::Error));
                }
                // The reader has disconnected.
                None => return SocketEnd::Close(None),
            };
            if writer.push(message).is_err() {
                return SocketEnd::Close(None);
            }
        }
    }

    /// Sends the messages of the pipe, in batches, and then its end.
    async fn send_from(&mut self, mut reader: ChannelReader) -> SocketEnd {
        loop {
            let first = tokio::select! {
                first = reader.next() => first,
                frame = self.frames.next() => match frame {
                    // A reader sends nothing but its close frame.
                    Some(Ok(frame)) if !frame.is_close() => continue,
                    _ => return SocketEnd::Disconnected,
                },
                _ = self.pings.tick() => match self.ping().await {
                    Ok(()) => continue,
                    Err(_) => return SocketEnd::Disconnected,
                },
            };
            let mut next = Some(first);
            while let Some(item) = next {
                let message = match item {
                    Some(Ok(ChannelMessage::Text(text))) => Message::Text(text),
                    Some(Ok(ChannelMessage::Binary(bytes))) => Message::Binary(bytes),
                    Some(Err(WriterDisconnected)) => {
                        return SocketEnd::Close(Some(CloseCode::Error));
                    }
                    None => return SocketEnd::Close(None),
                };
                if self.sink.feed(message).await.is_err() {
                    return SocketEnd::Disconnected;
                }
                next = reader.next().now_or_never();
            }
            if self.sink.flush().await.is_err() {
                return SocketEnd::Disconnected;
            }
        }
    }

    /// Sends a close frame and waits for the peer to complete the closing handshake.
    async fn close(&mut self, code: Option<CloseCode>) {
        let close = code.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
        if self.sink.send(Message::Close(close)).await.is_ok() {
            // Closing a TCP socket with unread data resets the connection, which discards what was sent.
            let drain = async { while let Some(Ok(_)) = self.frames.next().await {} };
            let _ = timeout(CLOSE_TIMEOUT, drain).await;
        }
    }

    async fn ping(&mut self) -> Result<(), Error> {
        self.sink.send(Message::Ping(Bytes::new())).await
    }
}

/// Waits until the pipe has capacity, and then for the next frame. Returns `None` if the reader has disconnected.
async fn next_frame<S>(
    frames: &mut SplitStream<WebSocketStream<S>>,
    writer: &mut ChannelWriter,
) -> Option<Result<Message, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|context| writer.poll_ready_unpin(context)).await.ok()?;
    tokio::select! {
        frame = frames.next() => Some(frame.unwrap_or(Err(Error::ConnectionClosed))),
        () = writer.closed() => None,
    }
}
