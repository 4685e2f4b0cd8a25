//! The socket of HTTP triggers: accepts connections, and lets requests finish when it stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::HttpTriggers;
use super::request::Peer;
use crate::tasks::Tasks;

/// The headers that the library takes without being told, on its quick way.
const HEADERS: usize = 100;
/// What is read of a connection before it is handled, if its head may not be larger.
const BUFFER: usize = 400 << 10;

/// The listener of one engine.
pub(crate) struct HttpListener {
    addr: SocketAddr,
    drained: watch::Sender<bool>,
    connections: Tasks,
}

impl HttpListener {
    /// For a socket that is bound.
    pub(crate) fn new(socket: &TcpListener) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            addr: socket.local_addr().unwrap_or(unknown),
            drained: watch::Sender::new(false),
            connections: Tasks::default(),
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until it has stopped and no request is under way.
    pub(crate) async fn drained(&self) {
        let _ = self.drained.subscribe().wait_for(|drained| *drained).await;
    }

    /// Ends all connections now.
    pub(crate) fn abort(&self) {
        self.connections.abort();
        self.drained.send_replace(true);
    }

    /// Accepts connections until `stopped` says so, then waits for the requests under way.
    pub(crate) async fn serve(
        self: Arc<Self>,
        socket: TcpListener,
        http: Arc<HttpTriggers>,
        mut stopped: watch::Receiver<bool>,
    ) {
        // Each connection holds a sender: when nothing can come any more, all of them have ended.
        let (alive, mut all_ended) = mpsc::channel::<Infallible>(1);
        let places = Arc::new(Semaphore::new(http.limits().connections));
        loop {
            let accepted = tokio::select! {
                // An engine that is gone has stopped as well.
                () = told(&mut stopped) => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        let serve = serve_one(stream, peer, http.clone(), stopped.clone(), place);
                        let alive = alive.clone();
                        self.connections.spawn(async move {
                            serve.await;
                            drop(alive);
                        });
                    }
                    Err(_) => tracing::warn!("too many HTTP connections: one more was turned away"),
                },
                Err(error) => {
                    tracing::warn!("an HTTP connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(socket);
        drop(alive);
        let _ = all_ended.recv().await;
        self.drained.send_replace(true);
    }
}

/// Serves one connection. When `stopped` says so, it ends after the request under way, or at once if it is idle.
async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    http: Arc<HttpTriggers>,
    mut stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    let limits = http.limits();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder.max_header_size(limits.head_bytes).max_buf_size(limits.head_bytes.max(BUFFER));
    if limits.headers != HEADERS {
        builder.max_headers(limits.headers);
    }
    let service = service_fn(move |mut request| {
        let http = http.clone();
        request.extensions_mut().insert(Peer(peer.ip()));
        async move { Ok::<_, Infallible>(http.respond(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}

/// Waits until the engine stops taking requests, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
