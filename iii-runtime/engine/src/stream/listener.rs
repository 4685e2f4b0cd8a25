//! The listener for stream subscribers: handshakes, and which of them are let in (protocol section 8.1).

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

use super::{Streams, client, gate};
use crate::origins::Origins;
use crate::tasks::Tasks;
use iii_wire::protocol::Payload;
use iii_wire::sync::lock;
use iii_wire::transport::ws;

/// The size of the head of a handshake.
const HEAD_BYTES: usize = 64 << 10;

/// A client that was let in, on its way from the handshake to the socket.
type Admitted = Arc<Mutex<Option<(OnUpgrade, Payload)>>>;

/// Accepts subscribers until the task is ended.
pub(crate) async fn serve(
    listener: TcpListener,
    streams: Arc<Streams>,
    tasks: Arc<Tasks>,
    origins: Arc<Origins>,
) {
    let places = Arc::new(Semaphore::new(streams.broker.limits().streams.connections));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely no file handles are left; some will be.
                tracing::warn!("a subscriber could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many subscribers are connected: one more was turned away");
            continue;
        };
        let (streams, origins) = (streams.clone(), origins.clone());
        tasks.spawn(async move {
            let _place = place;
            connect(stream, peer, streams, origins).await;
        });
    }
}

/// Does the handshake and serves the client until it leaves.
async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    streams: Arc<Streams>,
    origins: Arc<Origins>,
) {
    let limits = &streams.broker.limits().clone().streams;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "TCP_NODELAY could not be set: {error}");
    }
    let admitted = Admitted::default();
    let service = service_fn({
        let (streams, admitted) = (streams.clone(), admitted.clone());
        move |request| {
            let (streams, admitted) = (streams.clone(), admitted.clone());
            let allowed = origins.allow(request.headers().get(header::ORIGIN));
            async move {
                Ok::<_, hyper::http::Error>(match allowed {
                    true => answer(request, peer, &streams, &admitted).await,
                    false => {
                        refuse(StatusCode::FORBIDDEN, "pages of this origin cannot connect here")
                    }
                })
            }
        }
    });
    let handshake = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    match tokio::time::timeout(limits.head + gate::PATIENCE, handshake).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return tracing::debug!(%peer, "the handshake failed: {error}"),
        Err(_) => return tracing::debug!(%peer, "the handshake took too long"),
    }
    let Some((upgrade, context)) = lock(&admitted).take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    // Behind the upgrade is the socket that came in.
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let config = ws::config(limits.message_bytes, limits.message_bytes);
    let (stream, begun) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let socket =
        WebSocketStream::from_partially_read(stream, begun, Role::Server, Some(config)).await;
    client::serve(socket, streams, context).await;
}

/// Answers a handshake.
async fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    streams: &Streams,
    admitted: &Admitted,
) -> Response<Full<Bytes>> {
    if !matches!(request.uri().path(), "/" | "") {
        return refuse(StatusCode::NOT_FOUND, "subscribers connect to /");
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let Ok(response) = create_response(&Request::from_parts(parts.clone(), ())) else {
        return refuse(StatusCode::BAD_REQUEST, "this is a WebSocket: connect to it with ws://");
    };
    match streams.admit(&parts, peer).await {
        Ok(context) => {
            *lock(admitted) = Some((upgrade, context));
            response.map(|()| Full::default())
        }
        Err(_) => refuse(StatusCode::UNAUTHORIZED, "you are not let in"),
    }
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(why));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
