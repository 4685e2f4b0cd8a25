//! The listener for workers and channels: WebSocket handshakes, and which of them are let in (protocol sections 1 and
//! 7.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::broker::Broker;
use super::channel::{self, Channels, Direction};
use super::tasks::Tasks;
use crate::transport::{Limits, ws};

/// Connections at a time.
const CONNECTIONS: usize = 10_000;
/// The size of one frame.
const FRAME: usize = 16 << 20;
/// The size of one message.
const MESSAGE: usize = 64 << 20;

/// What a connection is for, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Worker,
    Telemetry,
    /// One side of a channel (protocol section 7.2).
    Channel {
        id: String,
        key: String,
        direction: Direction,
    },
}

/// Accepts workers until the task is ended. `handshake` is how long a handshake may take.
pub(crate) async fn serve(
    listener: TcpListener,
    broker: Broker,
    channels: Channels,
    tasks: Arc<Tasks>,
    handshake: Duration,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely no file handles are left; some will be.
                tracing::warn!("a worker could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many workers are connected: one more was turned away");
            continue;
        };
        let (broker, channels) = (broker.clone(), channels.clone());
        tasks.spawn(async move {
            let _place = place;
            admit(stream, peer, broker, channels, handshake).await;
        });
    }
}

/// Does the handshake and serves the connection until it ends.
async fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    broker: Broker,
    channels: Channels,
    limit: Duration,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "TCP_NODELAY could not be set: {error}");
    }
    let mut purpose = Purpose::Worker;
    let config = ws::config().max_frame_size(Some(FRAME)).max_message_size(Some(MESSAGE));
    // The type of the refusal belongs to the library.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, response: Response| {
        purpose = check(request, &channels)?;
        Ok(welcome(response))
    };
    let handshake = accept_hdr_async_with_config(stream, check, Some(config));
    let socket = match tokio::time::timeout(limit, handshake).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return tracing::debug!(%peer, "the handshake failed: {error}"),
        Err(_) => return tracing::debug!(%peer, "the handshake took too long"),
    };
    let link = |socket| ws::link(socket, ws::Heartbeat::default(), Limits::default());
    match purpose {
        Purpose::Worker => broker.attach(link(socket), Some(peer.ip())).await,
        // The link drops telemetry frames; protocol messages mean nothing here.
        Purpose::Telemetry => {
            let mut link = link(socket);
            while link.inbox.next().await.is_some() {}
        }
        Purpose::Channel { id, key, direction } => {
            channel::serve(socket, &channels, &id, &key, direction).await;
        }
    }
}

/// Says what a request is for, or how it is refused.
#[allow(clippy::result_large_err)]
fn check(request: &Request, channels: &Channels) -> Result<Purpose, ErrorResponse> {
    let origin = request.headers().get("origin");
    if origin.is_some_and(|origin| !origin.to_str().is_ok_and(is_local)) {
        return Err(refuse(StatusCode::FORBIDDEN, "pages of other hosts cannot connect here"));
    }
    match request.uri().path() {
        "/" | "" => Ok(Purpose::Worker),
        "/otel" => Ok(Purpose::Telemetry),
        path => match path.strip_prefix("/ws/channels/") {
            Some(id) => channel_side(id, request.uri().query().unwrap_or_default(), channels),
            None => Err(refuse(StatusCode::NOT_FOUND, "workers connect to /")),
        },
    }
}

/// The side of a channel that a request is for.
#[allow(clippy::result_large_err)]
fn channel_side(id: &str, query: &str, channels: &Channels) -> Result<Purpose, ErrorResponse> {
    let (mut key, mut direction) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("key", _) => key = Some(value.into_owned()),
            ("dir", "read") => direction = Some(Direction::Read),
            ("dir", "write") => direction = Some(Direction::Write),
            ("dir", _) => {
                return Err(refuse(StatusCode::BAD_REQUEST, "`dir` must be `read` or `write`"));
            }
            _ => {}
        }
    }
    let (Some(key), Some(direction)) = (key, direction) else {
        return Err(refuse(StatusCode::BAD_REQUEST, "a channel needs `key` and `dir`"));
    };
    if !channels.knows(id, &key) {
        return Err(refuse(StatusCode::NOT_FOUND, "Channel not found"));
    }
    Ok(Purpose::Channel { id: id.to_owned(), key, direction })
}

/// Whether an `Origin` is a page of this machine. Other pages could reach a listener on loopback, too.
pub(crate) fn is_local(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The answer to a worker: it may turn TCP_NODELAY on, as this side did.
fn welcome(mut response: Response) -> Response {
    response.headers_mut().insert("x-iii-capabilities", HeaderValue::from_static("tcp-nodelay"));
    response
}

fn refuse(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why.to_owned()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::broker::testing::{Worker, broker};
    use crate::protocol::Message;
    use crate::transport::Transport;
    use crate::transport::ws::WsTransport;
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::{Error, Message as Frame};

    async fn served() -> (SocketAddr, Arc<Tasks>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tasks = Arc::new(Tasks::default());
        let handshake = Duration::from_secs(10);
        tasks.spawn(serve(listener, broker(), Channels::default(), tasks.clone(), handshake));
        (addr, tasks)
    }

    #[tokio::test]
    async fn workers_talk_over_sockets() {
        let (addr, _tasks) = served().await;
        let transport = WsTransport::new(format!("ws://{addr}")).unwrap();
        let mut callee = Worker::greeted(transport.connect().await.unwrap()).await;
        callee.announce("callee", "default").await.unwrap();
        callee.function("t::f");
        callee.nothing_else().await;
        let mut caller = Worker::greeted(transport.connect().await.unwrap()).await;
        let id = caller.start("t::f", r#"{"x":1}"#);
        let call = callee.called().await;
        assert_eq!(call.caller, Some(caller.id));
        callee.answer(&call, Ok(Some(call.data.clone())));
        assert_eq!(caller.answer_to(id).await.unwrap().unwrap().as_str(), r#"{"x":1}"#);
    }

    #[tokio::test]
    async fn the_answer_names_what_the_engine_can_and_telemetry_is_taken() {
        let (addr, _tasks) = served().await;
        let (_socket, response) =
            tokio_tungstenite::connect_async(format!("ws://{addr}/?token=x")).await.unwrap();
        assert_eq!(response.headers()["x-iii-capabilities"], "tcp-nodelay");
        let (mut telemetry, _) =
            tokio_tungstenite::connect_async(format!("ws://{addr}/otel")).await.unwrap();
        telemetry.send(Frame::binary(&b"OTLP{}"[..])).await.unwrap();
        telemetry.send(Frame::Ping("x".into())).await.unwrap();
        assert!(matches!(telemetry.next().await, Some(Ok(Frame::Pong(_)))));
    }

    #[tokio::test]
    async fn other_paths_and_foreign_pages_are_refused() {
        let (addr, _tasks) = served().await;
        let status = async |path: &str, origin: Option<&'static str>| {
            let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", HeaderValue::from_static(origin));
            }
            match tokio_tungstenite::connect_async(request).await {
                Ok(_) => 101,
                Err(Error::Http(response)) => response.status().as_u16(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(status("/nope", None).await, 404);
        assert_eq!(status("/", Some("https://evil.example")).await, 403);
        assert_eq!(status("/", Some("null")).await, 403);
        assert_eq!(status("/", Some("http://localhost.evil.example:80")).await, 403);
        assert_eq!(status("/", Some("http://localhost:5173")).await, 101);
        assert_eq!(status("/", Some("http://[::1]:5173")).await, 101);
        assert_eq!(status("/", Some("http://127.0.0.1")).await, 101);
    }

    #[tokio::test]
    async fn a_bad_frame_hurts_nobody() {
        let (addr, _tasks) = served().await;
        let (mut socket, _) =
            tokio_tungstenite::connect_async(format!("ws://{addr}")).await.unwrap();
        socket.next().await.unwrap().unwrap();
        socket.send(Frame::text("{")).await.unwrap();
        socket.send(Frame::text(crate::protocol::encode(&Message::Ping))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"pong"}"#));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_answer_is_lost_under_load() {
        const CALLERS: usize = 8;
        const CALLS: usize = 500;
        let (addr, _tasks) = served().await;
        let transport = WsTransport::new(format!("ws://{addr}")).unwrap();
        let mut callee = Worker::greeted(transport.connect().await.unwrap()).await;
        callee.announce("callee", "default").await.unwrap();
        callee.function("t::f");
        callee.nothing_else().await;
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let mut caller = Worker::greeted(transport.connect().await.unwrap()).await;
            callers.spawn(async move {
                let mut open: std::collections::HashSet<_> =
                    (0..CALLS).map(|n| caller.start("t::f", &n.to_string())).collect();
                while !open.is_empty() {
                    let Message::InvocationResult(answer) = caller.next().await else { panic!() };
                    assert!(answer.result.is_ok() && open.remove(&answer.invocation_id));
                }
            });
        }
        let serving = tokio::spawn(async move {
            for _ in 0..CALLERS * CALLS {
                let call = callee.called().await;
                callee.answer(&call, Ok(Some(call.data.clone())));
            }
            callee
        });
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        serving.await.unwrap();
    }
}
