//! Tests of subscribers over WebSockets.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;
use crate::broker::testing::until;
use crate::tasks::Tasks;

/// A listener for subscribers, and a worker.
struct StreamServer {
    streams: Arc<Streams>,
    worker: Worker,
    addr: SocketAddr,
    _tasks: Arc<Tasks>,
}

impl StreamServer {
    async fn new(auth: Option<&str>) -> Self {
        let broker = broker();
        let table = Store::in_memory().table("stream");
        let streams = Streams::new(broker.clone(), table, auth.map(Into::into));
        let streams = with_provider(&broker, streams);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tasks = Arc::new(Tasks::default());
        let origins = Default::default();
        tasks.spawn(serve(listener, streams.clone(), tasks.clone(), origins));
        let mut worker = Worker::named(&broker, "w").await;
        for id in ["m::auth", "m::join", "m::leave"] {
            worker.function(id);
        }
        worker.nothing_else().await;
        Self { streams, worker, addr, _tasks: tasks }
    }

    async fn client(&self) -> TestClient {
        let url = format!("ws://{}", self.addr);
        TestClient { socket: tokio_tungstenite::connect_async(url).await.unwrap().0 }
    }

    /// Connects a client that is subscribed to the group `room` of the stream `chat`, or to an item of it.
    async fn joined(&self, id: Option<&str>) -> TestClient {
        let mut client = self.client().await;
        client.join("s", id).await;
        assert_eq!(client.event().await["event"]["type"], "sync");
        client
    }

    async fn set(&mut self, id: &str, data: Value) {
        call(&mut self.worker, "stream::set", set(id, data)).await;
    }

    /// Answers the next invocation of the worker. Returns its payload.
    async fn answer(
        &mut self,
        function: &str,
        result: Result<Option<Payload>, ErrorBody>,
    ) -> Value {
        let call = self.worker.called().await;
        assert_eq!(call.function_id.as_str(), function);
        self.worker.answer(&call, result);
        call.data.parse().unwrap()
    }
}

struct TestClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl TestClient {
    async fn send(&mut self, message: Value) {
        self.socket.send(Frame::text(message.to_string())).await.unwrap();
    }

    async fn join(&mut self, subscription: &str, id: Option<&str>) {
        let data = json!({"subscriptionId": subscription, "streamName": "chat", "groupId": "room", "id": id});
        self.send(json!({"type": "join", "data": data})).await;
    }

    async fn frame(&mut self) -> Frame {
        let next = tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await;
        next.expect("a frame in time").expect("an open socket").unwrap()
    }

    async fn event(&mut self) -> Value {
        serde_json::from_str(self.frame().await.to_text().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn subscriber_receives_the_snapshot_and_then_changes() {
    let mut server = StreamServer::new(None).await;
    server.set("pre", json!({"t": 0})).await;
    let mut client = server.client().await;
    client.socket.send(Frame::text("nonsense")).await.unwrap();
    client.join("all", None).await;
    let sync = client.event().await;
    assert_eq!(sync["event"], json!({"type": "sync", "data": [{"t": 0}]}));
    assert_eq!((&sync["type"], &sync["id"]), (&json!("stream"), &Value::Null));
    assert_eq!((&sync["streamName"], &sync["groupId"]), (&json!("chat"), &json!("room")));
    assert_eq!(sync["subscriptionId"], "all");
    client.join("one", Some("m1")).await;
    let sync = client.event().await;
    assert_eq!((&sync["id"], &sync["event"]["data"]), (&json!("m1"), &Value::Null));

    server.set("m1", json!({"t": 1})).await;
    for subscription in ["all", "one"] {
        let event = client.event().await;
        assert_eq!(event["subscriptionId"], subscription);
        assert_eq!(event["event"], json!({"type": "create", "data": {"t": 1}}));
    }
    server.set("m2", json!(2)).await;
    assert_eq!(client.event().await["id"], "m2");
    client.send(json!({"type": "leave", "data": {"subscriptionId": "all"}})).await;
    until("left", || server.streams.hub.len() == 1).await;
    server.set("m2", json!(3)).await;
    call(&mut server.worker, "stream::delete", item("m1")).await;
    let event = client.event().await;
    assert_eq!(
        (&event["subscriptionId"], &event["event"]["type"]),
        (&json!("one"), &json!("delete"))
    );
    drop(client);
    until("left", || server.streams.hub.len() == 0).await;
}

#[tokio::test]
async fn join_functions_authorize_subscriptions() {
    let mut server = StreamServer::new(None).await;
    server.worker.bind("j", "stream:join", "m::auth", "{}");
    // Binding the same id again replaces the trigger.
    server.worker.bind("j", "stream:join", "m::join", "null");
    server.worker.bind("l", "stream:leave", "m::leave", "{}");
    server.worker.nothing_else().await;
    let mut client = server.client().await;
    for refusal in [
        Ok(Some(payload(r#"{"unauthorized":true}"#))),
        Ok(Some(payload(r#"{"unauthorized":"yes"}"#))),
        Err(ErrorBody::new("x", "failed")),
    ] {
        client.join("s1", None).await;
        server.answer("m::join", refusal).await;
        let event = client.event().await;
        assert_eq!(event["event"], json!({"type": "unauthorized"}));
    }
    client.join("s1", None).await;
    let data = server.answer("m::join", Ok(None)).await;
    let expected = json!({"subscription_id": "s1", "stream_name": "chat", "group_id": "room", "id": null, "context": null});
    assert_eq!(data, expected);
    assert_eq!(client.event().await["event"]["type"], "sync");
    // Reusing the id ends the first subscription.
    client.join("s1", Some("m1")).await;
    server.answer("m::join", Ok(None)).await;
    assert_eq!(server.answer("m::leave", Ok(None)).await, expected);
    assert_eq!(client.event().await["id"], "m1");
    assert_eq!(server.streams.hub.len(), 1);
    drop(client);
    assert_eq!(server.answer("m::leave", Ok(None)).await["id"], "m1");
    server.worker.nothing_else().await;
}

#[tokio::test]
async fn auth_function_authenticates_clients() {
    let mut server = StreamServer::new(Some("m::auth")).await;
    server.worker.bind("j", "stream:join", "m::join", "{}");
    server.worker.nothing_else().await;
    let url = format!("ws://{}/?token=a%20b&token=c", server.addr);
    for refusal in [
        Ok(None),
        Ok(Some(payload("{}"))),
        Ok(Some(payload("7"))),
        Err(ErrorBody::new("x", "failed")),
    ] {
        let connecting = tokio::spawn(tokio_tungstenite::connect_async(url.clone()));
        server.answer("m::auth", refusal).await;
        let Err(Error::Http(response)) = connecting.await.unwrap() else { panic!("accepted") };
        assert_eq!(response.status().as_u16(), 401);
    }
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", "s=1".parse().unwrap());
    let connecting = tokio::spawn(tokio_tungstenite::connect_async(request));
    let data = server.answer("m::auth", Ok(Some(payload(r#"{"context":{"user":"ann"}}"#)))).await;
    assert_eq!((&data["path"], &data["headers"]["cookie"]), (&json!("/"), &json!("s=1")));
    assert_eq!(data["query_params"], json!({"token": ["a b", "c"]}));
    assert!(data["addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    let mut client = TestClient { socket: connecting.await.unwrap().unwrap().0 };
    client.join("s", None).await;
    let data = server.answer("m::join", Ok(Some(payload("{}")))).await;
    assert_eq!(data["context"], json!({"user": "ann"}));
    assert_eq!(client.event().await["event"]["type"], "sync");
}

#[tokio::test]
async fn other_paths_and_origins_are_rejected() {
    let server = StreamServer::new(None).await;
    let status = async |path: &str, origin: Option<&'static str>| {
        let mut request = format!("ws://{}{path}", server.addr).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(status("/stream/chat/room", None).await, 404);
    assert_eq!(status("/", Some("https://evil.example")).await, 403);
    assert_eq!(status("/", Some("http://localhost:5173")).await, 101);
}

#[tokio::test]
async fn change_during_the_snapshot_is_sent_after_it() {
    let mut server = StreamServer::new(None).await;
    server.worker.function("stream::list(chat)");
    server.worker.nothing_else().await;
    let mut client = server.client().await;
    client.join("s", None).await;
    let asked = server.worker.called().await;
    assert_eq!(asked.data.as_str(), r#"{"stream_name":"chat","group_id":"room"}"#);
    server.set("m1", json!(1)).await;
    server.worker.answer(&asked, Ok(Some(payload("[0]"))));
    assert_eq!(client.event().await["event"], json!({"type": "sync", "data": [0]}));
    assert_eq!(client.event().await["event"], json!({"type": "create", "data": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_in_the_snapshot_or_sent_after_it() {
    const CHANGES: u64 = 2000;
    let mut server = StreamServer::new(None).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        // The last value that the client has seen. Before it has the snapshot, the writer does not wait for it.
        clients.push((server.client().await, tokio::sync::watch::Sender::new(u64::MAX)));
    }
    let mut progress: Vec<_> = clients.iter().map(|(_, seen)| seen.subscribe()).collect();
    let watching: Vec<_> = clients
        .into_iter()
        .map(|(mut client, seen)| {
            tokio::spawn(async move {
                client.join("s", Some("n")).await;
                let first = client.event().await;
                assert_eq!(first["event"]["type"], "sync");
                let mut last = first["event"]["data"].as_u64().unwrap_or(0);
                seen.send_replace(last);
                while last < CHANGES {
                    let now = client.event().await["event"]["data"].as_u64().unwrap();
                    assert_eq!(now, last + 1, "no change is lost or duplicated");
                    last = now;
                    seen.send_replace(last);
                }
            })
        })
        .collect();
    for n in 1..=CHANGES {
        server.set("n", json!(n)).await;
        // Waits for the clients, so that none is disconnected as a slow consumer.
        for seen in &mut progress {
            let _ = seen.wait_for(|seen| seen.saturating_add(64) > n).await;
        }
    }
    for one in watching {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_client_is_disconnected_without_delaying_others() {
    let mut server = StreamServer::new(None).await;
    let mut slow = server.joined(None).await;
    let mut quick = server.joined(Some("m1")).await;
    let large = json!("x".repeat(1 << 20));
    let mut sent = 0;
    while server.streams.hub.len() > 1 {
        server.set("m1", large.clone()).await;
        assert_eq!(quick.event().await["id"], "m1");
        sent += 1;
        assert!(sent < 1000, "the slow client was not disconnected");
    }
    server.set("m1", json!(7)).await;
    assert_eq!(quick.event().await["event"]["data"], 7);
    let close = loop {
        match slow.frame().await {
            Frame::Close(close) => break close.unwrap(),
            _ => sent -= 1,
        }
    };
    assert_eq!(u16::from(close.code), 1013);
    assert!(sent > 0, "messages beyond the queue limit are dropped");
}

#[tokio::test]
async fn engine_shutdown_closes_connections_with_code_1012() {
    let server = StreamServer::new(None).await;
    let mut client = server.joined(None).await;
    server.streams.stop();
    let Frame::Close(Some(close)) = client.frame().await else { panic!("no close frame") };
    assert_eq!(u16::from(close.code), 1012);
}
