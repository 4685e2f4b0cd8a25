//! The listener for stream subscribers: accepts connections and handshakes ([protocol 8.1](iii_wire::protocol#s8-1)).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::subscription_triggers::FUNCTION_TIMEOUT;
use super::{Streams, client};
use crate::origins::OriginPolicy;
use crate::tasks::Tasks;
use iii_wire::protocol::Payload;
use iii_wire::sync::lock;
use iii_wire::transport::ws;

/// The maximum size of the head of a handshake, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The upgrade and the context of an authenticated client, passed from the handshake to the connection.
type AcceptedUpgrade = Arc<Mutex<Option<(OnUpgrade, Payload)>>>;

/// Accepts subscribers until the task is aborted.
pub(crate) async fn serve(
    listener: TcpListener,
    streams: Arc<Streams>,
    tasks: Arc<Tasks>,
    origins: Arc<OriginPolicy>,
) {
    let permits = Arc::new(Semaphore::new(streams.broker.limits().streams.connections));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely out of file descriptors, which is temporary.
                tracing::warn!("the connection of a subscriber could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "a subscriber was rejected: too many subscribers are connected");
            continue;
        };
        let (streams, origins) = (streams.clone(), origins.clone());
        tasks.spawn(async move {
            let _permit = permit;
            serve_connection(stream, peer, streams, origins).await;
        });
    }
}

/// Performs the handshake and serves the client until it disconnects.
async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    streams: Arc<Streams>,
    origins: Arc<OriginPolicy>,
) {
    let limits = &streams.broker.limits().clone().streams;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "TCP_NODELAY could not be set: {error}");
    }
    let accepted = AcceptedUpgrade::default();
    let service = service_fn({
        let (streams, accepted) = (streams.clone(), accepted.clone());
        move |request| {
            let (streams, accepted) = (streams.clone(), accepted.clone());
            let allowed = origins.allows(request.headers().get(header::ORIGIN));
            async move {
                Ok::<_, hyper::http::Error>(match allowed {
                    true => respond(request, peer, &streams, &accepted).await,
                    false => rejection(StatusCode::FORBIDDEN, "origin not allowed"),
                })
            }
        }
    });
    let handshake = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    match tokio::time::timeout(limits.head + FUNCTION_TIMEOUT, handshake).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return tracing::debug!(%peer, "the handshake of a subscriber failed: {error}");
        }
        Err(_) => return tracing::debug!(%peer, "the handshake of a subscriber timed out"),
    }
    let Some((upgrade, context)) = lock(&accepted).take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    // The upgraded connection is the accepted TCP stream.
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let config = ws::config(limits.message_bytes, limits.message_bytes);
    let (stream, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let socket =
        WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
    client::serve(socket, streams, context).await;
}

/// Responds to a handshake.
async fn respond(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    streams: &Streams,
    accepted: &AcceptedUpgrade,
) -> Response<Full<Bytes>> {
    if !matches!(request.uri().path(), "/" | "") {
        return rejection(StatusCode::NOT_FOUND, "subscribers must connect to /");
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let Ok(response) = create_response(&Request::from_parts(parts.clone(), ())) else {
        return rejection(StatusCode::BAD_REQUEST, "a WebSocket handshake is required");
    };
    match streams.authenticate(&parts, peer).await {
        Ok(context) => {
            *lock(accepted) = Some((upgrade, context));
            response.map(|()| Full::default())
        }
        Err(_) => rejection(StatusCode::UNAUTHORIZED, "unauthorized"),
    }
}

fn rejection(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(reason));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
