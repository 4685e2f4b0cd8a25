//! Tests of subscribers over real sockets.

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

struct Site {
    streams: Arc<Streams>,
    worker: Worker,
    addr: SocketAddr,
    _tasks: Arc<Tasks>,
}

impl Site {
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

    async fn client(&self) -> Client {
        let url = format!("ws://{}", self.addr);
        Client { socket: tokio_tungstenite::connect_async(url).await.unwrap().0 }
    }

    /// A client with one subscription to the group `room` of the stream `chat`, or to an item of it.
    async fn joined(&self, id: Option<&str>) -> Client {
        let mut client = self.client().await;
        client.join("s", id).await;
        assert_eq!(client.event().await["event"]["type"], "sync");
        client
    }

    async fn set(&mut self, id: &str, data: Value) {
        call(&mut self.worker, "stream::set", set(id, data)).await;
    }

    /// The next call of the worker, which is answered.
    async fn asked(&mut self, function: &str, answer: Result<Option<Payload>, ErrorBody>) -> Value {
        let call = self.worker.called().await;
        assert_eq!(call.function_id.as_str(), function);
        self.worker.answer(&call, answer);
        call.data.parse().unwrap()
    }
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    async fn say(&mut self, message: Value) {
        self.socket.send(Frame::text(message.to_string())).await.unwrap();
    }

    async fn join(&mut self, subscription: &str, id: Option<&str>) {
        let data = json!({"subscriptionId": subscription, "streamName": "chat", "groupId": "room", "id": id});
        self.say(json!({"type": "join", "data": data})).await;
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
async fn a_subscriber_gets_the_picture_and_then_what_changes() {
    let mut site = Site::new(None).await;
    site.set("pre", json!({"t": 0})).await;
    let mut client = site.client().await;
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

    site.set("m1", json!({"t": 1})).await;
    for subscription in ["all", "one"] {
        let event = client.event().await;
        assert_eq!(event["subscriptionId"], subscription);
        assert_eq!(event["event"], json!({"type": "create", "data": {"t": 1}}));
    }
    site.set("m2", json!(2)).await;
    assert_eq!(client.event().await["id"], "m2");
    client.say(json!({"type": "leave", "data": {"subscriptionId": "all"}})).await;
    until("left", || site.streams.hub.len() == 1).await;
    site.set("m2", json!(3)).await;
    call(&mut site.worker, "stream::delete", item("m1")).await;
    let event = client.event().await;
    assert_eq!(
        (&event["subscriptionId"], &event["event"]["type"]),
        (&json!("one"), &json!("delete"))
    );
    drop(client);
    until("left", || site.streams.hub.len() == 0).await;
}

#[tokio::test]
async fn the_gate_is_asked_and_closes_when_in_doubt() {
    let mut site = Site::new(None).await;
    site.worker.bind("j", "stream:join", "m::auth", "{}");
    // The same again replaces it.
    site.worker.bind("j", "stream:join", "m::join", "null");
    site.worker.bind("l", "stream:leave", "m::leave", "{}");
    site.worker.nothing_else().await;
    let mut client = site.client().await;
    for refusal in [
        Ok(Some(payload(r#"{"unauthorized":true}"#))),
        Ok(Some(payload(r#"{"unauthorized":"yes"}"#))),
        Err(ErrorBody::new("x", "failed")),
    ] {
        client.join("s1", None).await;
        site.asked("m::join", refusal).await;
        let event = client.event().await;
        assert_eq!(event["event"], json!({"type": "unauthorized"}));
    }
    client.join("s1", None).await;
    let data = site.asked("m::join", Ok(None)).await;
    let about = json!({"subscription_id": "s1", "stream_name": "chat", "group_id": "room", "id": null, "context": null});
    assert_eq!(data, about);
    assert_eq!(client.event().await["event"]["type"], "sync");
    // The same name again: the first subscription ends.
    client.join("s1", Some("m1")).await;
    site.asked("m::join", Ok(None)).await;
    assert_eq!(site.asked("m::leave", Ok(None)).await, about);
    assert_eq!(client.event().await["id"], "m1");
    assert_eq!(site.streams.hub.len(), 1);
    drop(client);
    assert_eq!(site.asked("m::leave", Ok(None)).await["id"], "m1");
    site.worker.nothing_else().await;
}

#[tokio::test]
async fn a_client_is_let_in_by_the_auth_function() {
    let mut site = Site::new(Some("m::auth")).await;
    site.worker.bind("j", "stream:join", "m::join", "{}");
    site.worker.nothing_else().await;
    let url = format!("ws://{}/?token=a%20b&token=c", site.addr);
    for refusal in [
        Ok(None),
        Ok(Some(payload("{}"))),
        Ok(Some(payload("7"))),
        Err(ErrorBody::new("x", "failed")),
    ] {
        let connecting = tokio::spawn(tokio_tungstenite::connect_async(url.clone()));
        site.asked("m::auth", refusal).await;
        let Err(Error::Http(response)) = connecting.await.unwrap() else { panic!("let in") };
        assert_eq!(response.status().as_u16(), 401);
    }
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", "s=1".parse().unwrap());
    let connecting = tokio::spawn(tokio_tungstenite::connect_async(request));
    let data = site.asked("m::auth", Ok(Some(payload(r#"{"context":{"user":"ann"}}"#)))).await;
    assert_eq!((&data["path"], &data["headers"]["cookie"]), (&json!("/"), &json!("s=1")));
    assert_eq!(data["query_params"], json!({"token": ["a b", "c"]}));
    assert!(data["addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    let mut client = Client { socket: connecting.await.unwrap().unwrap().0 };
    client.join("s", None).await;
    let data = site.asked("m::join", Ok(Some(payload("{}")))).await;
    assert_eq!(data["context"], json!({"user": "ann"}));
    assert_eq!(client.event().await["event"]["type"], "sync");
}

#[tokio::test]
async fn other_paths_and_foreign_pages_are_refused() {
    let site = Site::new(None).await;
    let status = async |path: &str, origin: Option<&'static str>| {
        let mut request = format!("ws://{}{path}", site.addr).into_client_request().unwrap();
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
async fn a_change_during_the_picture_comes_after_it() {
    let mut site = Site::new(None).await;
    site.worker.function("stream::list(chat)");
    site.worker.nothing_else().await;
    let mut client = site.client().await;
    client.join("s", None).await;
    let asked = site.worker.called().await;
    assert_eq!(asked.data.as_str(), r#"{"stream_name":"chat","group_id":"room"}"#);
    site.set("m1", json!(1)).await;
    site.worker.answer(&asked, Ok(Some(payload("[0]"))));
    assert_eq!(client.event().await["event"], json!({"type": "sync", "data": [0]}));
    assert_eq!(client.event().await["event"], json!({"type": "create", "data": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_in_the_picture_or_after_it() {
    const CHANGES: u64 = 2000;
    let mut site = Site::new(None).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        // How far the client is; before it has the picture, nobody waits for it.
        clients.push((site.client().await, tokio::sync::watch::Sender::new(u64::MAX)));
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
                    assert_eq!(now, last + 1, "nothing is missing, and nothing comes twice");
                    last = now;
                    seen.send_replace(last);
                }
            })
        })
        .collect();
    for n in 1..=CHANGES {
        site.set("n", json!(n)).await;
        // The clients are to keep up, so that none is thrown out.
        for seen in &mut progress {
            let _ = seen.wait_for(|seen| seen.saturating_add(64) > n).await;
        }
    }
    for one in watching {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_is_disconnected_and_delays_nobody() {
    let mut site = Site::new(None).await;
    let mut slow = site.joined(None).await;
    let mut quick = site.joined(Some("m1")).await;
    let large = json!("x".repeat(1 << 20));
    let mut sent = 0;
    while site.streams.hub.len() > 1 {
        site.set("m1", large.clone()).await;
        assert_eq!(quick.event().await["id"], "m1");
        sent += 1;
        assert!(sent < 1000, "nobody noticed");
    }
    site.set("m1", json!(7)).await;
    assert_eq!(quick.event().await["event"]["data"], 7);
    let close = loop {
        match slow.frame().await {
            Frame::Close(close) => break close.unwrap(),
            _ => sent -= 1,
        }
    };
    assert_eq!(u16::from(close.code), 1013);
    assert!(sent > 0, "what was too much is not sent");
}

#[tokio::test]
async fn an_engine_that_stops_says_so() {
    let site = Site::new(None).await;
    let mut client = site.joined(None).await;
    site.streams.stop();
    let Frame::Close(Some(close)) = client.frame().await else { panic!("no close") };
    assert_eq!(u16::from(close.code), 1012);
}
