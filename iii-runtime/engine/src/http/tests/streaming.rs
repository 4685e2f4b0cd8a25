//! Tests of request bodies and responses streamed through channels.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;

type ChannelSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a channel of a call, like a worker.
async fn open(server: &TestServer, call: &InvokeFunction, field: &str) -> ChannelSocket {
    let data: Value = call.data.parse().unwrap();
    let (id, key) = (&data[field]["channel_id"], &data[field]["access_key"]);
    let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap());
    let dir = data[field]["direction"].as_str().unwrap();
    let addr = server.engine.worker_addr().unwrap();
    let url = format!("ws://{addr}/ws/channels/{id}?key={key}&dir={dir}");
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

async fn next(socket: &mut ChannelSocket) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    next.expect("a frame in time").expect("an open socket").unwrap()
}

/// Sends the beginning of a request and keeps the socket open.
async fn send_partial(server: &TestServer, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut received = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&received).contains(end) {
            let mut bytes = [0; 1024];
            let read = socket.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the end before {end:?}: {}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&bytes[..read]);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("a response in time");
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn response_is_streamed_while_it_is_written() {
    let mut server = TestServer::new(ROUTE).await;
    let mut client = send_partial(&server, GET).await;
    let call = server.worker.called().await;
    let mut writer = open(&server, &call, "response").await;
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
    let head = read_until(&mut client, "one").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 201"), "{head}");
    assert!(head.contains("content-type: text/event-stream") && head.contains("x-a: 1"), "{head}");
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"));
    assert!(head.contains("access-control-allow-origin: *"));
    // A result after the start of the response is ignored.
    server.worker.answer(&call, Ok(Some(Payload::from(json!({"status_code": 500, "body": "no"})))));
    writer.send(Message::text("ignored")).await.unwrap();
    writer.send(Message::binary(&b"two"[..])).await.unwrap();
    writer.close(None).await.unwrap();
    let rest = read_until(&mut client, "0\r\n\r\n").await;
    assert!(rest.contains("two") && !rest.contains("ignored"), "{rest}");
}

#[tokio::test]
async fn worker_disconnect_aborts_the_response() {
    let mut server = TestServer::new(ROUTE).await;
    let mut client = send_partial(&server, GET).await;
    let call = server.worker.called().await;
    let mut writer = open(&server, &call, "response").await;
    writer.send(Message::binary(&b"half"[..])).await.unwrap();
    read_until(&mut client, "half").await;
    drop(writer);
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
    assert!(
        !String::from_utf8_lossy(&rest).contains("0\r\n\r\n"),
        "the response must not look complete"
    );

    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    let writer = open(&server, &call, "response").await;
    server.worker.answer(&call, Ok(None));
    drop(writer);
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (502, "connection_lost"));
}

#[tokio::test]
async fn result_takes_precedence_over_a_channel_without_content() {
    let mut server = TestServer::new(ROUTE).await;
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    let mut writer = open(&server, &call, "response").await;
    writer.send(Message::text(r#"{"type":"set_status","status_code":201}"#)).await.unwrap();
    server.worker.answer(&call, Ok(Some(Payload::from(json!({"body": 1})))));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "1"));
    assert_eq!(next(&mut writer).await, Message::Close(None));

    // Without a result, the open channel is the response.
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    server.worker.answer(&call, Ok(None));
    let mut writer = open(&server, &call, "response").await;
    writer.send(Message::text(r#"{"type":"set_status","status_code":202}"#)).await.unwrap();
    writer.close(None).await.unwrap();
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
}

#[tokio::test]
async fn request_bodies_are_streamed_through_their_channel() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut server = TestServer::with(config, |builder| builder.http_body_limit(20)).await;
    for (kind, body) in
        [("text/plain", "hello"), ("application/json", r#"{"a":1}"#), ("text/plain", "")]
    {
        let pending = send(server.addr, post(kind, body));
        let call = server.worker.called().await;
        let mut reader = open(&server, &call, "request_body").await;
        if !body.is_empty() {
            assert_eq!(next(&mut reader).await, Message::binary(body.as_bytes().to_vec()));
        }
        assert_eq!(next(&mut reader).await, Message::Close(None));
        server.worker.answer(&call, Ok(Some(Payload::from(json!("done")))));
        assert_eq!(pending.await.unwrap().body, "\"done\"");
    }
}

#[tokio::test]
async fn long_json_is_sent_in_chunks() {
    let mut server = TestServer::new(r#"{"api_path":"/a","http_method":"POST"}"#).await;
    let body = format!("\"{}\"", "x".repeat(2 << 20));
    let pending = send(server.addr, post("application/json", &body));
    let call = server.worker.called().await;
    let mut reader = open(&server, &call, "request_body").await;
    let mut read = Vec::new();
    while let Message::Binary(bytes) = next(&mut reader).await {
        assert!(bytes.len() <= 64 << 10, "{}", bytes.len());
        read.extend_from_slice(&bytes);
    }
    assert!(read == body.as_bytes());
    server.worker.answer(&call, Ok(Some(Payload::from(json!("done")))));
    assert_eq!(pending.await.unwrap().body, "\"done\"");
}

#[tokio::test]
async fn streamed_body_is_neither_buffered_nor_limited() {
    const CHUNKS: usize = 64;
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut server = TestServer::with(config, |builder| builder.http_body_limit(20)).await;
    let head = format!(
        "POST /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        CHUNKS << 20
    );
    let mut client = send_partial(&server, &head).await;
    let (mut receive, mut transmit) = client.split();
    let sending = async {
        for _ in 0..CHUNKS {
            transmit.write_all(&vec![7; 1 << 20]).await.unwrap();
        }
    };
    let handling = async {
        let call = server.worker.called().await;
        let mut reader = open(&server, &call, "request_body").await;
        let mut length = 0;
        while let Message::Binary(bytes) = next(&mut reader).await {
            length += bytes.len();
        }
        server.worker.answer(&call, Ok(Some(Payload::from(json!({ "body": length })))));
    };
    tokio::join!(sending, handling);
    let mut reply = String::new();
    receive.read_to_string(&mut reply).await.unwrap();
    assert!(reply.ends_with(&(CHUNKS << 20).to_string()), "{reply}");
}

#[tokio::test]
async fn client_disconnect_closes_the_channels() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut server = TestServer::new(config).await;
    let head = "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome";
    let client = send_partial(&server, head).await;
    let call = server.worker.called().await;
    let mut reader = open(&server, &call, "request_body").await;
    let mut writer = open(&server, &call, "response").await;
    assert_eq!(next(&mut reader).await, Message::binary(&b"some"[..]));
    writer.send(Message::binary(&b"begun"[..])).await.unwrap();
    drop(client);
    assert!(matches!(next(&mut reader).await, Message::Close(Some(_))));
    assert_eq!(next(&mut writer).await, Message::Close(None));
    server.worker.answer(&call, Ok(None));

    // If the client disconnects before the response starts, the invocation is cancelled.
    let client = send_partial(&server, head).await;
    let call = server.worker.called().await;
    drop(client);
    let active = || {
        let workers = server.engine.broker.workers();
        workers.iter().map(|one| one.active_invocations).sum::<usize>()
    };
    crate::broker::testing::until("the invocation is cancelled", || active() == 0).await;
    server.worker.answer(&call, Ok(None));

    // The request is complete and the response is idle.
    server.worker.bind("get", "http", "h::f", ROUTE);
    server.worker.nothing_else().await;
    let client = send_partial(&server, GET).await;
    let call = server.worker.called().await;
    let mut writer = open(&server, &call, "response").await;
    writer.send(Message::binary(&b"begun"[..])).await.unwrap();
    drop(client);
    assert_eq!(next(&mut writer).await, Message::Close(None));
}

#[tokio::test]
async fn in_memory_request_collects_a_streamed_response() {
    let mut server = TestServer::new(ROUTE).await;
    let request = hyper::Request::get("/a").body(hyper::body::Bytes::new()).unwrap();
    let worker_addr = server.engine.worker_addr();
    assert!(worker_addr.is_some());
    let engine = &server.engine;
    let answered = async {
        let call = server.worker.called().await;
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
