//! Tests of bodies and responses that go through channels.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a channel of a call, as a worker does.
async fn open(site: &Site, call: &InvokeFunction, field: &str) -> Socket {
    let data: Value = call.data.parse().unwrap();
    let (id, key) = (&data[field]["channel_id"], &data[field]["access_key"]);
    let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap());
    let dir = data[field]["direction"].as_str().unwrap();
    let addr = site.engine.worker_addr().unwrap();
    let url = format!("ws://{addr}/ws/channels/{id}?key={key}&dir={dir}");
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    next.expect("a frame in time").expect("an open socket").unwrap()
}

/// Sends the head of a request and some bytes; the socket stays open.
async fn begin(site: &Site, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(site.addr).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(end) {
            let mut bytes = [0; 1024];
            let read = socket.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the end before {end:?}: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&bytes[..read]);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("an answer in time");
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_response_is_streamed_as_it_is_written() {
    let mut site = Site::new(ROUTE).await;
    let mut client = begin(&site, GET).await;
    let call = site.worker.called().await;
    let mut writer = open(&site, &call, "response").await;
    for control in [
        r#"{"type":"set_status","status_code":201}"#,
        r#"{"type":"set_status","status_code":99}"#,
        r#"{"type":"set_headers","headers":{"content-type":"text/plain","x-a":"1","content-length":"9"}}"#,
        r#"{"type":"set_headers","headers":{"content-type":"text/event-stream","x-b":7}}"#,
        "nonsense",
    ] {
        writer.send(Message::text(control)).await.unwrap();
    }
    writer.send(Message::binary(&b"one"[..])).await.unwrap();
    let seen = read_until(&mut client, "one").await.to_ascii_lowercase();
    assert!(seen.starts_with("http/1.1 201"), "{seen}");
    assert!(seen.contains("content-type: text/event-stream") && seen.contains("x-a: 1"), "{seen}");
    assert!(seen.contains("transfer-encoding: chunked") && !seen.contains("content-length"));
    assert!(seen.contains("access-control-allow-origin: *"));
    // The result comes too late.
    site.worker.answer(&call, Ok(Some(Payload::from(json!({"status_code": 500, "body": "no"})))));
    writer.send(Message::text("ignored")).await.unwrap();
    writer.send(Message::binary(&b"two"[..])).await.unwrap();
    writer.close(None).await.unwrap();
    let rest = read_until(&mut client, "0\r\n\r\n").await;
    assert!(rest.contains("two") && !rest.contains("ignored"), "{rest}");
}

#[tokio::test]
async fn a_worker_that_dies_breaks_the_response_off() {
    let mut site = Site::new(ROUTE).await;
    let mut client = begin(&site, GET).await;
    let call = site.worker.called().await;
    let mut writer = open(&site, &call, "response").await;
    writer.send(Message::binary(&b"half"[..])).await.unwrap();
    read_until(&mut client, "half").await;
    drop(writer);
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "no end may be shown");

    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    let writer = open(&site, &call, "response").await;
    site.worker.answer(&call, Ok(None));
    drop(writer);
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (502, "connection_lost"));
}

#[tokio::test]
async fn a_result_wins_over_a_channel_that_says_nothing() {
    let mut site = Site::new(ROUTE).await;
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    let mut writer = open(&site, &call, "response").await;
    writer.send(Message::text(r#"{"type":"set_status","status_code":201}"#)).await.unwrap();
    site.worker.answer(&call, Ok(Some(Payload::from(json!({"body": 1})))));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "1"));
    assert_eq!(next(&mut writer).await, Message::Close(None));

    // Nothing as a result, and a channel that is open: the channel decides.
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    site.worker.answer(&call, Ok(None));
    let mut writer = open(&site, &call, "response").await;
    writer.send(Message::text(r#"{"type":"set_status","status_code":202}"#)).await.unwrap();
    writer.close(None).await.unwrap();
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
}

#[tokio::test]
async fn bodies_come_through_their_channel() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut site = Site::with(config, |builder| builder.http_body_limit(20)).await;
    for (kind, body) in
        [("text/plain", "hello"), ("application/json", r#"{"a":1}"#), ("text/plain", "")]
    {
        let pending = send(site.addr, post(kind, body));
        let call = site.worker.called().await;
        let mut reader = open(&site, &call, "request_body").await;
        if !body.is_empty() {
            assert_eq!(next(&mut reader).await, Message::binary(body.as_bytes().to_vec()));
        }
        assert_eq!(next(&mut reader).await, Message::Close(None));
        site.worker.answer(&call, Ok(Some(Payload::from(json!("done")))));
        assert_eq!(pending.await.unwrap().body, "\"done\"");
    }
}

#[tokio::test]
async fn long_json_comes_in_pieces() {
    let mut site = Site::new(r#"{"api_path":"/a","http_method":"POST"}"#).await;
    let body = format!("\"{}\"", "x".repeat(2 << 20));
    let pending = send(site.addr, post("application/json", &body));
    let call = site.worker.called().await;
    let mut reader = open(&site, &call, "request_body").await;
    let mut read = Vec::new();
    while let Message::Binary(bytes) = next(&mut reader).await {
        assert!(bytes.len() <= 64 << 10, "{}", bytes.len());
        read.extend_from_slice(&bytes);
    }
    assert!(read == body.as_bytes());
    site.worker.answer(&call, Ok(Some(Payload::from(json!("done")))));
    assert_eq!(pending.await.unwrap().body, "\"done\"");
}

#[tokio::test]
async fn a_long_body_is_neither_kept_nor_limited() {
    const PIECES: usize = 64;
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut site = Site::with(config, |builder| builder.http_body_limit(20)).await;
    let head = format!(
        "POST /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        PIECES << 20
    );
    let mut client = begin(&site, &head).await;
    let (mut receive, mut give) = client.split();
    let sending = async {
        for _ in 0..PIECES {
            give.write_all(&vec![7; 1 << 20]).await.unwrap();
        }
    };
    let handling = async {
        let call = site.worker.called().await;
        let mut reader = open(&site, &call, "request_body").await;
        let mut length = 0;
        while let Message::Binary(bytes) = next(&mut reader).await {
            length += bytes.len();
        }
        site.worker.answer(&call, Ok(Some(Payload::from(json!({ "body": length })))));
    };
    tokio::join!(sending, handling);
    let mut reply = String::new();
    receive.read_to_string(&mut reply).await.unwrap();
    assert!(reply.ends_with(&(PIECES << 20).to_string()), "{reply}");
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_channels() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut site = Site::new(config).await;
    let head = "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome";
    let client = begin(&site, head).await;
    let call = site.worker.called().await;
    let mut reader = open(&site, &call, "request_body").await;
    let mut writer = open(&site, &call, "response").await;
    assert_eq!(next(&mut reader).await, Message::binary(&b"some"[..]));
    writer.send(Message::binary(&b"begun"[..])).await.unwrap();
    drop(client);
    assert!(matches!(next(&mut reader).await, Message::Close(Some(_))));
    assert_eq!(next(&mut writer).await, Message::Close(None));
    site.worker.answer(&call, Ok(None));

    // It leaves before the response has begun: the function's answer is not waited for.
    let client = begin(&site, head).await;
    let call = site.worker.called().await;
    drop(client);
    let active = || {
        let workers = site.engine.broker.workers();
        workers.iter().map(|one| one.active_invocations).sum::<usize>()
    };
    crate::broker::testing::until("forgotten", || active() == 0).await;
    site.worker.answer(&call, Ok(None));

    // A request that is complete, and a response in which nothing happens.
    site.worker.bind("get", "http", "h::f", ROUTE);
    site.worker.nothing_else().await;
    let client = begin(&site, GET).await;
    let call = site.worker.called().await;
    let mut writer = open(&site, &call, "response").await;
    writer.send(Message::binary(&b"begun"[..])).await.unwrap();
    drop(client);
    assert_eq!(next(&mut writer).await, Message::Close(None));
}

#[tokio::test]
async fn a_streamed_response_is_collected_in_memory() {
    let mut site = Site::new(ROUTE).await;
    let request = hyper::Request::get("/a").body(hyper::body::Bytes::new()).unwrap();
    let worker_addr = site.engine.worker_addr();
    assert!(worker_addr.is_some());
    let engine = &site.engine;
    let answered = async {
        let call = site.worker.called().await;
        let data: Value = call.data.parse().unwrap();
        let to = &data["response"];
        let (id, key) = (to["channel_id"].as_str().unwrap(), to["access_key"].as_str().unwrap());
        let url = format!("ws://{}/ws/channels/{id}?key={key}&dir=write", worker_addr.unwrap());
        let mut writer = tokio_tungstenite::connect_async(url).await.unwrap().0;
        writer.send(Message::binary(&b"one "[..])).await.unwrap();
        writer.send(Message::binary(&b"two"[..])).await.unwrap();
        writer.close(None).await.unwrap();
    };
    let (response, ()) = tokio::join!(engine.request(request), answered);
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"one two"[..]));
}
