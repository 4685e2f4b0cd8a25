//! The sockets of channels: what a writer sends goes into the pipe, what is in the pipe goes to the reader.

use std::time::Duration;

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

use super::{WriterDisconnected, Channels, ChannelDirection, ChannelMessage, ChannelReader, ChannelWriter};
use iii_wire::protocol::ChannelRef;
use iii_wire::transport::local;

/// In this process the other side cannot be lost without a word.
const LOCAL_PING: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the other side may take to answer a close.
const LINGER: Duration = Duration::from_secs(1);

/// How a socket ends.
enum End {
    /// With a close frame.
    Close(Option<CloseCode>),
    /// It is gone.
    Lost,
}

type Frames<S> = SplitStream<WebSocketStream<S>>;
type Socket<S> = SplitSink<WebSocketStream<S>, Message>;

/// Serves one side of a channel until it ends. A side that cannot be opened is closed at once (protocol section 7.2).
///
/// A quiet socket is pinged every `ping`, so that TCP notices when the other side is gone. Pongs are not waited for: an
/// SDK that only writes need not read.
pub(crate) async fn serve<S>(
    socket: WebSocketStream<S>,
    channels: &Channels,
    (id, key): (&str, &str),
    direction: ChannelDirection,
    ping: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut socket, mut frames) = socket.split();
    let end = match direction {
        ChannelDirection::Read => match channels.open_reader(id, key) {
            Ok(reader) => read(reader, &mut socket, &mut frames, ping).await,
            Err(_) => End::Close(None),
        },
        ChannelDirection::Write => match channels.open_writer(id, key) {
            Ok(writer) => write(writer, &mut socket, &mut frames, ping).await,
            Err(_) => End::Close(None),
        },
    };
    let End::Close(code) = end else { return };
    let close = code.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
    if socket.send(Message::Close(close)).await.is_ok() {
        // Leaving while something is unread would take back what was sent.
        let rest = async { while let Some(Ok(_)) = frames.next().await {} };
        let _ = timeout(LINGER, rest).await;
    }
}

/// Serves one side of a channel to somebody in this process, over the same frames as a socket.
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
        let opens = (channel_id.as_str(), access_key.as_str());
        serve(socket, &channels, opens, direction, LOCAL_PING).await;
    }
}

/// Puts what the socket sends into the pipe. While the pipe is full, the socket is not read.
async fn write<S>(
    mut writer: ChannelWriter,
    socket: &mut Socket<S>,
    frames: &mut Frames<S>,
    every: Duration,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = pings(every);
    loop {
        let frame = tokio::select! {
            frame = next_with_room(&mut writer, frames) => frame,
            _ = pings.tick() => match ping(socket).await {
                Ok(()) => continue,
                Err(_) => return End::Lost,
            },
        };
        let frame = match frame {
            Some(Ok(Message::Text(text))) => ChannelMessage::Text(text),
            Some(Ok(Message::Binary(bytes))) => ChannelMessage::Binary(bytes),
            Some(Ok(Message::Close(close))) => {
                // Other codes say that something went wrong on that side.
                let well = |close: &CloseFrame| close.code == CloseCode::Normal;
                if close.as_ref().is_none_or(well) {
                    writer.finish();
                }
                // The answer to a close is sent while waiting for the end.
                while let Ok(Some(Ok(_))) = timeout(LINGER, frames.next()).await {}
                return End::Lost;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(error)) => {
                tracing::debug!("the writer of a channel was lost: {error}");
                // A frame that is too long, for example: the reader is told that something is missing.
                return End::Close(Some(CloseCode::Error));
            }
            // The reader is gone.
            None => return End::Close(None),
        };
        if writer.push(frame).is_err() {
            return End::Close(None);
        }
    }
}

/// The next frame, once there is room for it; `None` if nobody reads any more.
async fn next_with_room<S>(
    writer: &mut ChannelWriter,
    frames: &mut Frames<S>,
) -> Option<Result<Message, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    futures_util::future::poll_fn(|context| writer.poll_ready_unpin(context)).await.ok()?;
    tokio::select! {
        frame = frames.next() => Some(frame.unwrap_or(Err(Error::ConnectionClosed))),
        () = writer.closed() => None,
    }
}

/// Sends what is in the pipe to the socket, and then its end.
async fn read<S>(
    mut reader: ChannelReader,
    socket: &mut Socket<S>,
    frames: &mut Frames<S>,
    every: Duration,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = pings(every);
    loop {
        let next = tokio::select! {
            next = reader.next() => next,
            frame = frames.next() => match frame {
                // Nothing is expected from this side but its leaving.
                Some(Ok(frame)) if !frame.is_close() => continue,
                _ => return End::Lost,
            },
            _ = pings.tick() => match ping(socket).await {
                Ok(()) => continue,
                Err(_) => return End::Lost,
            },
        };
        let mut next = Some(next);
        // What is waiting goes out together.
        while let Some(item) = next {
            let message = match item {
                Some(Ok(ChannelMessage::Text(text))) => Message::Text(text),
                Some(Ok(ChannelMessage::Binary(bytes))) => Message::Binary(bytes),
                Some(Err(WriterDisconnected)) => return End::Close(Some(CloseCode::Error)),
                None => return End::Close(None),
            };
            if socket.feed(message).await.is_err() {
                return End::Lost;
            }
            next = reader.next().now_or_never();
        }
        if socket.flush().await.is_err() {
            return End::Lost;
        }
    }
}

fn pings(every: Duration) -> Interval {
    let mut pings = interval(every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    pings
}

async fn ping<S>(socket: &mut Socket<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(Message::Ping(Bytes::new())).await
}
