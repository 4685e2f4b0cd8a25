//! Listeners for workers and channels: WebSocket handshakes and their authorization ([protocol 1](iii_wire::protocol#s1), [7.2](iii_wire::protocol#s7-2)).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::access::{AccessGuard, AuthRequest};
use super::broker::{Broker, ConnectionPolicy, limits};
use super::channel::{self, ChannelDirection, Channels};
use super::origins::OriginPolicy;
use super::tasks::Tasks;
use iii_wire::protocol::{ErrorBody, Message};
use iii_wire::transport::{Connection, ws};

/// The WebSocket close code for a rejected connection. SDKs treat it as a lost connection and reconnect.
const REJECTED: u16 = 4401;

/// Path prefix of channel endpoints.
const CHANNEL_PATH_PREFIX: &str = "/ws/channels/";

/// The kind of a connection, determined by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ConnectionKind {
    Worker,
    Telemetry,
    /// An endpoint of a channel ([protocol 7.2](iii_wire::protocol#s7-2)).
    Channel {
        id: String,
        key: String,
        direction: ChannelDirection,
    },
}

/// What a listener serves, and to whom.
#[derive(Clone)]
pub(crate) struct ListenerContext {
    /// Serves worker connections.
    pub(crate) broker: Broker,
    /// Serves channel endpoints.
    pub(crate) channels: Channels,
    /// Timeout of the handshake.
    pub(crate) handshake_timeout: Duration,
    /// Allowed browser origins.
    pub(crate) origins: Arc<OriginPolicy>,
    /// Authorizes workers; `None` leaves them unrestricted.
    pub(crate) guard: Option<AccessGuard>,
}

/// Accepts connections until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, context: ListenerContext, tasks: Arc<Tasks>) {
    let permits = Arc::new(Semaphore::new(context.broker.limits().workers.connections));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely the process has no free file descriptors; connections that close free some.
                tracing::warn!("failed to accept a worker connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "connection refused: the maximum number of worker connections is reached");
            continue;
        };
        let context = context.clone();
        tasks.spawn(async move {
            let _permit = permit;
            serve_connection(stream, peer, context).await;
        });
    }
}

/// Performs the handshake and serves the connection until it ends.
async fn serve_connection(stream: TcpStream, peer: SocketAddr, context: ListenerContext) {
    let ListenerContext { broker, channels, handshake_timeout, origins, guard } = context;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "failed to set TCP_NODELAY: {error}");
    }
    let has_auth_function = guard.as_ref().is_some_and(AccessGuard::has_auth_function);
    let mut kind = ConnectionKind::Worker;
    let mut auth_request = None;
    let limits = &broker.limits().clone().workers;
    let config = ws::config(limits.frame_bytes, limits.message_bytes);
    // The error type is defined by tungstenite.
    #[allow(clippy::result_large_err)]
    let on_request = |request: &Request, response: Response| {
        kind = connection_kind(
            request,
            &channels,
            if has_auth_function { None } else { Some(&origins) },
        )?;
        auth_request = guard.is_some().then(|| AuthRequest::new(request, peer.ip()));
        Ok(with_capabilities(response))
    };
    let handshake = accept_hdr_async_with_config(stream, on_request, Some(config));
    let socket = match tokio::time::timeout(handshake_timeout, handshake).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return tracing::debug!(%peer, "handshake failed: {error}"),
        Err(_) => return tracing::debug!(%peer, "handshake timed out"),
    };
    if let ConnectionKind::Channel { id, key, direction } = kind {
        // The key suffices: only an authorized worker obtains one.
        return channel::serve(socket, &channels, (&id, &key), direction, limits.ping).await;
    }
    let (heartbeat, outbox_limits) = (limits.heartbeat(), limits.outbox_limits());
    let mut connection =
        ws::connection_with_telemetry(socket, heartbeat, outbox_limits, broker.telemetry());
    let policy = match (guard, auth_request) {
        (Some(guard), Some(auth_request)) => {
            match authorize(&guard, &auth_request, &mut connection).await {
                Some(policy) => Some(policy),
                None => return,
            }
        }
        _ => None,
    };
    match kind {
        ConnectionKind::Worker => {
            broker.attach_with_policy(policy, connection, Some(peer.ip())).await;
        }
        // The connection passes telemetry frames to their handler; protocol messages are ignored.
        ConnectionKind::Telemetry | ConnectionKind::Channel { .. } => {
            while connection.inbox.next().await.is_some() {}
        }
    }
}

/// Serves a telemetry connection from within this process.
pub(super) async fn serve_local_telemetry(broker: Broker, reply: oneshot::Sender<DuplexStream>) {
    let (ours, theirs) = iii_wire::transport::local::pipe();
    if reply.send(theirs).is_err() {
        return;
    }
    let limits = &broker.limits().clone().workers;
    let config = ws::config(limits.frame_bytes, limits.message_bytes);
    let socket = WebSocketStream::from_raw_socket(ours, Role::Server, Some(config)).await;
    let (heartbeat, outbox_limits) = (limits.heartbeat(), limits.outbox_limits());
    let mut connection =
        ws::connection_with_telemetry(socket, heartbeat, outbox_limits, broker.telemetry());
    while connection.inbox.next().await.is_some() {}
}

/// Authorizes a worker. Rejects and closes its connection on failure.
async fn authorize(
    guard: &AccessGuard,
    auth_request: &AuthRequest,
    connection: &mut Connection,
) -> Option<Arc<dyn ConnectionPolicy>> {
    match guard.admit(auth_request).await {
        Ok(policy) => Some(policy),
        Err(error) => {
            reject_connection(connection, error).await;
            None
        }
    }
}

/// Sends the reason of a rejection and closes the connection ([protocol 2.13](iii_wire::protocol#s2-13)).
async fn reject_connection(connection: &mut Connection, error: ErrorBody) {
    let _ = connection.outbox.send(Message::Error(Box::new(error)));
    connection.outbox.close(Some(REJECTED));
    // Closing a socket with unread data would discard the sent message.
    let rest = async { while connection.inbox.next().await.is_some() {} };
    let _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, rest).await;
}

/// Determines the kind of a connection, or rejects its handshake. `None` for `origins` allows all origins: an auth
/// function decides about them.
#[allow(clippy::result_large_err)]
fn connection_kind(
    request: &Request,
    channels: &Channels,
    origins: Option<&OriginPolicy>,
) -> Result<ConnectionKind, ErrorResponse> {
    let origin = request.headers().get("origin");
    if origins.is_some_and(|origins| !origins.allows(origin)) {
        return Err(refuse(StatusCode::FORBIDDEN, "this origin is not allowed"));
    }
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        "/" | "" => match channel_in_query(query) {
            Some((id, query)) => channel_endpoint(id, query, channels),
            None => Ok(ConnectionKind::Worker),
        },
        "/otel" => Ok(ConnectionKind::Telemetry),
        path => match path.strip_prefix(CHANNEL_PATH_PREFIX) {
            Some(id) => channel_endpoint(id, query, channels),
            None => Err(refuse(StatusCode::NOT_FOUND, "workers connect to /")),
        },
    }
}

/// The channel and its query in the query of a worker URL. Some SDKs append the path of a channel to the URL that they
/// were given: if that has a query, such as a token, the path becomes part of the query.
fn channel_in_query(query: &str) -> Option<(&str, &str)> {
    let (_, channel) = query.rsplit_once(CHANNEL_PATH_PREFIX)?;
    channel.split_once('?')
}

/// The channel endpoint of a request.
#[allow(clippy::result_large_err)]
fn channel_endpoint(
    id: &str,
    query: &str,
    channels: &Channels,
) -> Result<ConnectionKind, ErrorResponse> {
    let (mut key, mut direction) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("key", _) => key = Some(value.into_owned()),
            ("dir", "read") => direction = Some(ChannelDirection::Read),
            ("dir", "write") => direction = Some(ChannelDirection::Write),
            ("dir", _) => {
                return Err(refuse(StatusCode::BAD_REQUEST, "`dir` must be `read` or `write`"));
            }
            _ => {}
        }
    }
    let (Some(key), Some(direction)) = (key, direction) else {
        return Err(refuse(StatusCode::BAD_REQUEST, "a channel requires `key` and `dir`"));
    };
    if !channels.contains(id, &key) {
        return Err(refuse(StatusCode::NOT_FOUND, "Channel not found"));
    }
    Ok(ConnectionKind::Channel { id: id.to_owned(), key, direction })
}

/// Adds the capabilities of the engine to the handshake response: the worker may set TCP_NODELAY, as this side did.
fn with_capabilities(mut response: Response) -> Response {
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
    use crate::broker::testing::{Worker, broker};
    use futures_util::SinkExt;
    use iii_wire::protocol::Message;
    use iii_wire::transport::Transport;
    use iii_wire::transport::ws::WsTransport;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::{Error, Message as Frame};

    async fn start_server() -> (SocketAddr, Arc<Tasks>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tasks = Arc::new(Tasks::default());
        let context = ListenerContext {
            broker: broker(),
            channels: Channels::default(),
            handshake_timeout: Duration::from_secs(10),
            origins: Arc::default(),
            guard: None,
        };
        tasks.spawn(serve(listener, context, tasks.clone()));
        (addr, tasks)
    }

    #[tokio::test]
    async fn workers_call_each_other_over_sockets() {
        let (addr, _tasks) = start_server().await;
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
    async fn handshake_announces_capabilities_and_telemetry_is_accepted() {
        let (addr, _tasks) = start_server().await;
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
    async fn unknown_paths_and_foreign_origins_are_rejected() {
        let (addr, _tasks) = start_server().await;
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
    async fn invalid_frame_is_answered_and_the_connection_stays_open() {
        let (addr, _tasks) = start_server().await;
        let (mut socket, _) =
            tokio_tungstenite::connect_async(format!("ws://{addr}")).await.unwrap();
        socket.next().await.unwrap().unwrap();
        socket.send(Frame::text("{")).await.unwrap();
        let reply = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(
            reply.contains(r#""type":"error""#) && reply.contains("invalid_message"),
            "{reply}"
        );
        let id = "7bf22097-7be4-48e5-a329-5a504bc71e09";
        let call = format!(r#"{{"type":"invokefunction","invocation_id":"{id}"}}"#);
        socket.send(Frame::text(call)).await.unwrap();
        let reply = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(reply.contains(r#""type":"invocationresult""#) && reply.contains(id), "{reply}");
        socket.send(Frame::text(iii_wire::protocol::encode(&Message::Ping))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text(r#"{"type":"pong"}"#));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn every_call_is_answered_under_load() {
        const CALLERS: usize = 8;
        const CALLS: usize = 500;
        let (addr, _tasks) = start_server().await;
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
