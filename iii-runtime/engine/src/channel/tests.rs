//! Tests of channels, in this process and over WebSockets.

use std::net::SocketAddr;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;
use crate::broker::testing::{Worker, broker, until, with_provider};
use crate::server;
use crate::tasks::Tasks;
use iii_wire::code;
use std::time::Duration;

/// How long a channel waits for both of its endpoints.
const WAIT: Duration = Duration::from_secs(300);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A listener for workers and channels, and a worker.
struct ChannelServer {
    channels: Channels,
    worker: Worker,
    addr: SocketAddr,
    _tasks: Arc<Tasks>,
}

impl ChannelServer {
    async fn new() -> Self {
        let (broker, channels) = (broker(), Channels::default());
        with_provider(&broker, ChannelFunctions::new(channels.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tasks = Arc::new(Tasks::default());
        let door = server::ListenerContext {
            broker: broker.clone(),
            channels: channels.clone(),
            handshake_timeout: Duration::from_secs(10),
            origins: Arc::default(),
            guard: None,
        };
        let serve = server::serve(listener, door, tasks.clone());
        tasks.spawn(serve);
        let worker = Worker::named(&broker, "w").await;
        Self { channels, worker, addr, _tasks: tasks }
    }

    async fn create(&mut self, input: &str) -> (String, String) {
        let made = self.worker.call("engine::channels::create", input).await.unwrap().unwrap();
        let made: Value = made.parse().unwrap();
        let (reader, writer) = (&made["reader"], &made["writer"]);
        assert_eq!((&reader["direction"], &writer["direction"]), (&"read".into(), &"write".into()));
        assert_eq!(reader["channel_id"], writer["channel_id"]);
        assert_eq!(reader["access_key"], writer["access_key"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&reader["channel_id"]), text(&reader["access_key"]))
    }

    async fn open(&self, path: &str) -> Result<Socket, u16> {
        match tokio_tungstenite::connect_async(format!("ws://{}{path}", self.addr)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn endpoint(&self, (id, key): &(String, String), dir: &str) -> Socket {
        self.open(&format!("/ws/channels/{id}?key={key}&dir={dir}")).await.unwrap()
    }
}

async fn next(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    next.expect("a frame in time").expect("an open socket").unwrap()
}

fn binary(length: usize) -> ChannelMessage {
    ChannelMessage::Binary(vec![7; length].into())
}

#[tokio::test]
async fn reader_receives_all_messages_and_then_the_end() {
    let mut server = ChannelServer::new().await;
    let channel = server.create(r#"{"buffer_size":8}"#).await;
    let mut reader = server.endpoint(&channel, "read").await;
    let mut writer = server.endpoint(&channel, "write").await;
    let sent = [
        Message::text(r#"{"type":"meta"}"#),
        Message::binary(vec![1; 1000]),
        Message::binary(vec![2; 70_000]),
    ];
    for message in &sent {
        writer.send(message.clone()).await.unwrap();
    }
    for message in sent {
        assert_eq!(next(&mut reader).await, message);
    }
    writer.close(None).await.unwrap();
    assert_eq!(next(&mut reader).await, Message::Close(None));
    until("forgotten", || server.channels.len() == 0).await;
}

#[tokio::test]
async fn reader_can_open_late_and_endpoints_open_once() {
    let mut server = ChannelServer::new().await;
    let channel = server.create("{}").await;
    let mut writer = server.endpoint(&channel, "write").await;
    writer.send(Message::binary(&b"early"[..])).await.unwrap();
    writer
        .close(Some(CloseFrame { code: CloseCode::Normal, reason: "stream_complete".into() }))
        .await
        .unwrap();
    let mut second = server.endpoint(&channel, "write").await;
    assert_eq!(next(&mut second).await, Message::Close(None));
    // The key may be percent-encoded.
    let (id, key) = (&channel.0, channel.1.replace('-', "%2D"));
    let mut reader = server.open(&format!("/ws/channels/{id}?dir=read&key={key}")).await.unwrap();
    assert_eq!(next(&mut reader).await, Message::binary(&b"early"[..]));
    assert_eq!(next(&mut reader).await, Message::Close(None));
}

#[tokio::test]
async fn invalid_channel_urls_are_rejected() {
    let mut server = ChannelServer::new().await;
    let (id, key) = server.create("{}").await;
    let status = async |path: String| server.open(&path).await.err();
    assert_eq!(status(format!("/ws/channels/{id}?key=wrong&dir=read")).await, Some(404));
    assert_eq!(status(format!("/ws/channels/{key}?key={key}&dir=read")).await, Some(404));
    assert_eq!(status(format!("/ws/channels/nope?key={key}&dir=read")).await, Some(404));
    assert_eq!(status(format!("/ws/channels/{id}?key={key}")).await, Some(400));
    assert_eq!(status(format!("/ws/channels/{id}?dir=read")).await, Some(400));
    assert_eq!(status(format!("/ws/channels/{id}?key={key}&dir=both")).await, Some(400));
    assert_eq!(status(format!("/ws/channels/{id}?key={key}&dir=read")).await, None);
    let error = server.worker.call("engine::channels::create", "null").await.unwrap_err();
    assert_eq!(error.code, "deserialization_error");
}

#[tokio::test]
async fn channel_is_found_when_the_worker_url_has_a_query() {
    let mut server = ChannelServer::new().await;
    let (id, key) = server.create("{}").await;
    // SDKs append the path to the URL of the engine, which may have a query such as `ws://host/?token=x`.
    for (dir, before) in [("read", "/?token=x&a=1"), ("write", "/?token=x")] {
        let path = format!("{before}/ws/channels/{id}?key={key}&dir={dir}");
        assert!(server.open(&path).await.is_ok(), "{path}");
    }
    until("forgotten", || server.channels.len() == 0).await;
    let status = async |path: &str| server.open(path).await.err();
    assert_eq!(status(&format!("/?token=x/ws/channels/{id}?key={key}&dir=read")).await, Some(404));
    assert_eq!(status(&format!("/?token=x/ws/channels/{id}?dir=read")).await, Some(400));
    assert_eq!(status("/?token=/ws/channels/").await, None, "a worker with an unusual token");
}

#[tokio::test]
async fn lost_writer_is_reported_to_the_reader() {
    let mut server = ChannelServer::new().await;
    let channel = server.create("{}").await;
    let mut reader = server.endpoint(&channel, "read").await;
    let mut writer = server.endpoint(&channel, "write").await;
    writer.send(Message::text("half")).await.unwrap();
    drop(writer);
    assert_eq!(next(&mut reader).await, Message::text("half"));
    let Message::Close(Some(close)) = next(&mut reader).await else { panic!("no close code") };
    assert_eq!(close.code, CloseCode::Error);
}

#[tokio::test]
async fn disconnected_reader_closes_the_writer() {
    let mut server = ChannelServer::new().await;
    let channel = server.create("{}").await;
    let reader = server.endpoint(&channel, "read").await;
    let mut writer = server.endpoint(&channel, "write").await;
    writer.send(Message::text("x")).await.unwrap();
    drop(reader);
    assert_eq!(next(&mut writer).await, Message::Close(None));
    until("forgotten", || server.channels.len() == 0).await;
}

#[tokio::test]
async fn slow_reader_applies_backpressure_to_the_writer() {
    let mut server = ChannelServer::new().await;
    let channel = server.create(r#"{"buffer_size":0}"#).await;
    let mut writer = server.endpoint(&channel, "write").await;
    let sending = tokio::spawn(async move {
        for n in 0..64u8 {
            writer.send(Message::binary(vec![n; 1 << 20])).await.unwrap();
        }
        writer.close(None).await.unwrap();
        writer
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!sending.is_finished(), "the socket buffers cannot hold all messages");
    let mut reader = server.endpoint(&channel, "read").await;
    for n in 0..64u8 {
        assert_eq!(next(&mut reader).await.into_data()[0], n);
    }
    assert_eq!(next(&mut reader).await, Message::Close(None));
    sending.await.unwrap();
}

#[tokio::test]
async fn pipe_is_bounded_by_messages_and_bytes() {
    let channels = Channels::default();
    let refs = channels.create(Some(2), None).unwrap();
    let (id, key) = (&refs.writer.channel_id, &refs.writer.access_key);
    let mut writer = channels.open_writer(id, key).unwrap();
    assert_eq!(channels.open_writer(id, key).unwrap_err(), ChannelOpenError::AlreadyOpened);
    assert_eq!(channels.open_reader(id, "x").unwrap_err(), ChannelOpenError::NotFound);
    for _ in 0..2 {
        writer.send(binary(1)).now_or_never().unwrap().unwrap();
    }
    assert!(writer.send(binary(1)).now_or_never().is_none());
    let mut reader = channels.open_reader(id, key).unwrap();
    assert_eq!(reader.next().await, Some(Ok(binary(1))));
    assert_eq!(reader.next().await, Some(Ok(binary(1))));
    // Longer than the limit, so it is accepted only by an empty pipe.
    writer.send(binary((4 << 20) + 1)).now_or_never().unwrap().unwrap();
    assert!(writer.send(binary(1)).now_or_never().is_none());
    drop(writer);
    assert_eq!(reader.next().await, Some(Ok(binary((4 << 20) + 1))));
    assert_eq!(reader.next().await, Some(Err(WriterDisconnected)));
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn channel_expires_after_five_minutes_with_an_unopened_endpoint() {
    let channels = Channels::default();
    let [none, half, both] = [(); 3].map(|()| channels.create(None, None).unwrap());
    let (h, b) = (&half.reader, &both.reader);
    let mut half_reader = channels.open_reader(&h.channel_id, &h.access_key).unwrap();
    let mut writer = channels.open_writer(&b.channel_id, &b.access_key).unwrap();
    let mut reader = channels.open_reader(&b.channel_id, &b.access_key).unwrap();
    tokio::time::sleep(WAIT - Duration::from_secs(1)).await;
    assert!(channels.contains(&none.reader.channel_id, &none.reader.access_key));
    assert_eq!(half_reader.next().await, Some(Err(WriterDisconnected)));
    assert_eq!(channels.len(), 1);
    tokio::time::sleep(WAIT * 3).await;
    writer.send(binary(1)).await.unwrap();
    assert_eq!(reader.next().await, Some(Ok(binary(1))));
    drop((writer, reader));
    assert_eq!(channels.len(), 0);
}

#[tokio::test]
async fn channels_are_limited_per_connection_and_in_total() {
    let channels = Channels::default();
    let worker_id = WorkerId::random();
    for _ in 0..1_000 {
        channels.create(None, Some(worker_id)).unwrap();
    }
    assert_eq!(channels.create(None, Some(worker_id)).unwrap_err().code, code::OVERLOADED);
    for _ in 1_000..10_000 {
        channels.create(None, None).unwrap();
    }
    assert_eq!(channels.create(None, None).unwrap_err().code, code::OVERLOADED);
    // Channels of the engine itself are not limited.
    let owned = channels.create_owned();
    let mut reference = String::new();
    owned.push_ref(ChannelDirection::Write, &mut reference);
    let reference: Value = serde_json::from_str(&reference).unwrap();
    assert_eq!(reference["direction"], "write");
    let [id, key] = ["channel_id", "access_key"].map(|name| reference[name].as_str().unwrap());
    let mut reader = owned.reader().unwrap();
    let mut writer = channels.open_writer(id, key).unwrap();
    drop(owned);
    assert_eq!(channels.len(), 10_000);
    assert!(writer.send(binary(1)).await.is_err());
    assert_eq!(reader.next().await, Some(Err(WriterDisconnected)));
    Arc::new(ChannelFunctions::new(channels.clone())).stop();
    assert_eq!(channels.len(), 0);
}
