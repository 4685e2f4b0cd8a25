//! Channels between workers over sockets, and bodies of HTTP requests and responses that are streamed.

use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use iii::engine::Engine;
use iii::prelude::*;
use iii::{
    BodyStream, RawBody,
    channel::{Channel, ChannelMessage, ChannelReader, ChannelWriter},
};
use iii::{Running, Sse, code, output::SseEvent};
use iii_tests::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Pipe {
    from: ChannelReader,
    to: ChannelWriter,
}

/// Writes in capitals what it reads.
#[iii::function(id = "pipe::upper")]
async fn upper(pipe: Pipe) -> iii::Result<()> {
    let Pipe { mut from, mut to } = pipe;
    while let Some(message) = from.message().await? {
        match message {
            ChannelMessage::Text(text) => to.send(text.to_uppercase()).await?,
            ChannelMessage::Binary(bytes) => to.send(bytes).await?,
        }
    }
    to.finish().await
}

/// Gives what it makes as a channel.
#[iii::function(id = "pipe::numbers")]
async fn numbers(most: u32, client: Client) -> iii::Result<ChannelReader> {
    let Channel { mut writer, reader } = client.channel().buffer(1).await?;
    tokio::spawn(async move {
        for n in 0..most {
            writer.write_all(&n.to_be_bytes()).await?;
        }
        writer.finish().await
    });
    Ok(reader)
}

/// Counts the bytes of an upload.
#[iii::function(id = "pipe::upload")]
#[iii::trigger(http, method = "POST", path = "/upload")]
async fn upload(mut body: BodyStream) -> iii::Result<u64> {
    Ok(tokio::io::copy(&mut body, &mut tokio::io::sink()).await?)
}

/// Gives back a body of any type, as it is.
#[iii::function(id = "pipe::echo")]
#[iii::trigger(http, method = "PUT", path = "/echo")]
async fn echo(RawBody(body): RawBody, headers: Headers) -> Response {
    let kind = headers.get("content-type").unwrap_or("application/octet-stream").to_owned();
    let pieces = stream::iter([Ok::<_, iii::Error>(body)]);
    Response::new(201).header("content-type", kind).stream(pieces)
}

/// Three events.
#[iii::function(id = "pipe::events")]
#[iii::trigger(http, path = "/events")]
async fn events() -> Sse {
    Sse::new(stream::iter(1..=3).map(|n| SseEvent::new().event("tick").json(&n)))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Break {
    after: usize,
}

/// A response that breaks off.
#[iii::function(id = "pipe::broken")]
#[iii::trigger(http, path = "/broken/:after")]
async fn broken(wanted: Break) -> Response {
    let pieces = stream::iter(0..=wanted.after).map(move |n| match n {
        n if n < wanted.after => Ok("piece"),
        _ => Err(iii::Error::new("pipe/broken", "no more")),
    });
    Response::new(200).stream(pieces)
}

/// An engine, and two workers that are connected over sockets.
async fn start() -> (Engine, Running, Running) {
    let engine =
        Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
    let url = format!("ws://{}", engine.worker_addr().unwrap());
    let mut serving = App::new();
    serving.url(&url).name("serves").function::<upper>().function::<numbers>();
    serving.function::<upload>().function::<echo>().function::<events>().function::<broken>();
    let serving = serving.start().await.unwrap();
    let mut calling = App::new();
    let calling = calling.url(&url).name("calls").function::<idle>().start().await.unwrap();
    (engine, serving, calling)
}

/// A worker serves something.
#[iii::function(id = "pipe::idle")]
async fn idle() {}

/// Sends a request of any kind, and reads all that comes back.
async fn exchange(addr: SocketAddr, request: &[u8]) -> String {
    within("an HTTP answer", async {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut answer = String::new();
        // An answer that breaks off is what one of the tests is about.
        let _ = socket.read_to_string(&mut answer).await;
        answer
    })
    .await
}

#[tokio::test]
async fn a_pipeline_of_two_workers() {
    let (_engine, _serving, calling) = start().await;
    let client = calling.client();
    let Channel { mut writer, reader: from } = client.channel().buffer(4).await.unwrap();
    let Channel { writer: to, mut reader } = client.channel().await.unwrap();
    let running = tokio::spawn(client.call::<upper>(Pipe { from, to }).into_future());
    let large = vec![5; 300_000];
    let sending = tokio::spawn({
        let large = large.clone();
        async move {
            writer.send("hello").await?;
            writer.write_all(&large).await?;
            writer.finish().await
        }
    });
    assert_eq!(reader.message().await.unwrap(), Some("HELLO".into()));
    assert_eq!(reader.read_all().await.unwrap(), large);
    sending.await.unwrap().unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_result_may_be_a_channel() {
    let (_engine, _serving, calling) = start().await;
    let mut reader = calling.client().call::<numbers>(1000).await.unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).await.unwrap();
    let expected: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn bodies_of_any_kind_are_streamed_in_and_out() {
    let (engine, _serving, calling) = start().await;
    let addr = engine.http_addr().unwrap();
    let body = "x".repeat(1_000_000);
    let upload = format!(
        "POST /upload HTTP/1.0\r\ncontent-type: text/csv\r\ncontent-length: 1000000\r\n\r\n{body}"
    );
    let answer = exchange(addr, upload.as_bytes()).await;
    assert!(answer.ends_with("\r\n\r\n1000000"), "{answer}");

    let echo = "PUT /echo HTTP/1.0\r\ncontent-type: text/csv\r\ncontent-length: 5\r\n\r\na;b\r\n";
    let answer = exchange(addr, echo.as_bytes()).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.0 201") && answer.ends_with("\r\n\r\na;b\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/csv"), "{answer}");

    // The same functions, called without a request.
    let client = calling.client();
    let request = HttpRequest::new(serde_json::json!({"a": 1}));
    let length: u64 = client.call_raw("pipe::upload", &request).await.unwrap();
    assert_eq!(length, 7);
    let error = client.call_raw::<Payload>("pipe::echo", &request).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (code::STREAM_NEEDS_HTTP, 400));
}

#[tokio::test]
async fn events_and_responses_that_break_off() {
    let (engine, _serving, _calling) = start().await;
    let addr = engine.http_addr().unwrap();
    let answer = exchange(addr, b"GET /events HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("content-type: text/event-stream"), "{head}");
    assert_eq!(body, "event: tick\ndata: 1\n\nevent: tick\ndata: 2\n\nevent: tick\ndata: 3\n\n");

    // Before the first piece, an error is an answer of its own.
    let answer = exchange(addr, b"GET /broken/0 HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 500") && answer.contains("pipe/broken"), "{answer}");
    // Later, the client sees that the end is missing; what was on its way may be missing as well.
    let request = b"GET /broken/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(addr, request).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}
