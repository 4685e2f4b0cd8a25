//! The HTTP server of the triggers: accepts connections and shuts down gracefully.

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
use super::request::PeerIp;
use crate::tasks::Tasks;

/// Default header limit of hyper. It parses with a faster path if the limit is not set explicitly.
const HYPER_DEFAULT_HEADERS: usize = 100;
/// Lower bound of the read buffer limit of a connection, in bytes.
const MIN_BUFFER_BYTES: usize = 400 << 10;
/// Pause after a failed `accept`, such as when file descriptors are exhausted.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The HTTP listener of one engine.
pub(crate) struct HttpListener {
    addr: SocketAddr,
    drained: watch::Sender<bool>,
    connections: Tasks,
}

impl HttpListener {
    /// Creates the listener of a bound socket.
    pub(crate) fn new(socket: &TcpListener) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            addr: socket.local_addr().unwrap_or(unknown),
            drained: watch::Sender::new(false),
            connections: Tasks::default(),
        }
    }

    /// Returns the local address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until the listener has stopped and the last request has finished.
    pub(crate) async fn drained(&self) {
        let _ = self.drained.subscribe().wait_for(|drained| *drained).await;
    }

    /// Closes all connections immediately.
    pub(crate) fn abort(&self) {
        self.connections.abort();
        self.drained.send_replace(true);
    }

    /// Accepts connections until `stopped` is true, then waits for the requests in flight.
    pub(crate) async fn serve(
        self: Arc<Self>,
        socket: TcpListener,
        http: Arc<HttpTriggers>,
        mut stopped: watch::Receiver<bool>,
    ) {
        // Each connection holds a sender, so the channel closes when the last connection has ended.
        let (alive, mut all_ended) = mpsc::channel::<Infallible>(1);
        let permits = Arc::new(Semaphore::new(http.limits().connections));
        loop {
            let accepted = tokio::select! {
                () = wait_for_stop(&mut stopped) => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match permits.clone().try_acquire_owned() {
                    Ok(permit) => {
                        let connection =
                            serve_connection(stream, peer, http.clone(), stopped.clone(), permit);
                        let alive = alive.clone();
                        self.connections.spawn(async move {
                            connection.await;
                            drop(alive);
                        });
                    }
                    Err(_) => tracing::warn!("rejected an HTTP connection: the limit is reached"),
                },
                Err(error) => {
                    tracing::warn!("failed to accept an HTTP connection: {error}");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
        drop(socket);
        drop(alive);
        let _ = all_ended.recv().await;
        self.drained.send_replace(true);
    }
}

/// Serves one connection. Once `stopped` is true, it closes after the request in flight, or immediately if it is idle.
async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    http: Arc<HttpTriggers>,
    mut stopped: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    let limits = http.limits();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(MIN_BUFFER_BYTES));
    if limits.headers != HYPER_DEFAULT_HEADERS {
        builder.max_headers(limits.headers);
    }
    let service = service_fn(move |mut request| {
        let http = http.clone();
        request.extensions_mut().insert(PeerIp(peer.ip()));
        async move { Ok::<_, Infallible>(http.respond(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = wait_for_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("an HTTP connection ended with an error: {error}");
    }
}

/// Waits until the engine stops accepting requests or is dropped.
async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
