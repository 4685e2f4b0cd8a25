//! A running engine: its addresses, its in-process transport, and how it stops.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use iii_wire::transport::local::LocalTransport;
use tokio::sync::watch;

use crate::broker::{self, Broker};
use crate::config::EngineBuilder;
use crate::http;
use crate::store::Store;
use crate::tasks::Tasks;

/// The WebSocket close code "service restart", on which workers reconnect ([protocol 1.7](iii_wire::protocol#s1-7)).
const RESTARTING: u16 = 1012;

/// The providers that the test harness looks into.
#[cfg(feature = "testing")]
pub(crate) struct Probes {
    pub(crate) queues: Option<Arc<crate::queue::Queues>>,
    pub(crate) streams: Option<Arc<crate::stream::Streams>>,
}

/// A running engine in this process. Dropping it closes everything abruptly; [`Engine::stop`] shuts down gracefully.
pub struct Engine {
    pub(crate) broker: Broker,
    /// Accept loops; aborted first.
    pub(crate) accept_tasks: Arc<Tasks>,
    /// Tasks that serve connections.
    pub(crate) connection_tasks: Arc<Tasks>,
    pub(crate) local: LocalTransport,
    pub(crate) http_closed: watch::Sender<bool>,
    pub(crate) http: Arc<http::HttpTriggers>,
    pub(crate) http_listener: Option<Arc<http::HttpListener>>,
    pub(crate) worker_addrs: Vec<SocketAddr>,
    pub(crate) stream_addr: Option<SocketAddr>,
    pub(crate) store: Store,
    pub(crate) data_dir: Option<PathBuf>,
    #[cfg(feature = "testing")]
    pub(crate) probes: Probes,
}

impl Engine {
    /// Returns a builder with the default settings.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Returns a transport that connects to this engine in process. Access rules belong to listeners: a worker that
    /// connects in process is unrestricted.
    pub fn local(&self) -> LocalTransport {
        self.local.clone()
    }

    /// Returns the address of the first listener for workers; `None` without listeners.
    pub fn worker_addr(&self) -> Option<SocketAddr> {
        self.worker_addrs.first().copied()
    }

    /// Returns the addresses of all listeners for workers, in declaration order.
    pub fn worker_addrs(&self) -> &[SocketAddr] {
        &self.worker_addrs
    }

    /// Returns the data directory; `None` if the engine stores everything in memory.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Returns the address of the HTTP listener; `None` if there is none.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_listener.as_ref().map(|listener| listener.addr())
    }

    /// Returns the address of the stream WebSocket; `None` if there is none.
    pub fn stream_addr(&self) -> Option<SocketAddr> {
        self.stream_addr
    }

    /// Closes the HTTP listener and its idle connections. Requests in flight continue.
    pub fn close_http(&self) {
        self.http_closed.send_replace(true);
    }

    /// Serves an HTTP request in memory, exactly like one that arrives over a socket. A streamed response is collected.
    pub async fn request(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.http.respond(request.map(Full::new)).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            // None of it was sent yet, so the error can still be a response.
            Err(_) => http::bad_gateway().map(http::ResponseBody::into_bytes),
        }
    }

    /// Closes the HTTP listener, like [`Engine::close_http`], and waits until no request is in flight.
    pub async fn drain(&self) {
        self.close_http();
        if let Some(listener) = &self.http_listener {
            listener.drained().await;
        }
    }

    /// Shuts the engine down: closes all listeners, and all connections with a close code on which workers reconnect.
    ///
    /// Aborts requests in flight; call [`Engine::drain`] before to await them. Flushes the store and releases the
    /// data directory.
    pub async fn stop(&self) {
        self.close_http();
        self.accept_tasks.abort();
        self.broker.shut_down(RESTARTING);
        self.connection_tasks.finish(broker::limits::CLOSE_TIMEOUT).await;
        if let Some(listener) = &self.http_listener {
            listener.abort();
        }
        if let Err(error) = self.store.close().await {
            tracing::error!("failed to close the store: {error}");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.accept_tasks.abort();
        self.broker.shut_down(RESTARTING);
        self.connection_tasks.abort();
        if let Some(listener) = &self.http_listener {
            listener.abort();
        }
        self.store.close_blocking();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("worker_addrs", &self.worker_addrs)
            .field("http_addr", &self.http_addr())
            .field("stream_addr", &self.stream_addr)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::Worker;
    use futures_util::StreamExt;
    use iii_wire::clock::Clock;
    use iii_wire::code;
    use iii_wire::transport::Transport;
    use std::time::{Duration, SystemTime};
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::Message as Frame;

    #[tokio::test]
    async fn port_in_use_is_reported_with_its_variable() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Engine::builder()
            .worker_port(0)
            .stream_port(0)
            .http_port(port)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.code(), code::LISTEN_FAILED);
        for fact in [&port.to_string(), "127.0.0.1", "III_HTTP_PORT"] {
            assert!(error.message().contains(fact), "{error}");
        }
        let error = Engine::builder().host("no.such.host.invalid").start().await.unwrap_err();
        assert!(error.message().contains("III_HOST"), "{error}");
    }

    #[tokio::test]
    async fn stop_closes_connections_for_a_reconnect() {
        let engine =
            Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
        let url = format!("ws://{}", engine.worker_addr().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        socket.next().await.unwrap().unwrap();
        let stopped = tokio::spawn(async move {
            engine.stop().await;
            engine
        });
        let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else { panic!("a close") };
        assert_eq!(u16::from(close.code), 1012);
        while socket.next().await.is_some() {}
        let engine = stopped.await.unwrap();
        assert!(tokio_tungstenite::connect_async(&url).await.is_err());
        assert!(engine.local().connect().await.is_err());
    }

    #[tokio::test]
    async fn dropped_engine_frees_everything() {
        let engine =
            Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
        let local = engine.local();
        let mut worker = Worker::greeted(local.connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        worker.bind("c", "cron", "f", r#"{"expression":"* * * * * *"}"#);
        worker.nothing_else().await;
        let broker = engine.broker.downgrade();
        drop(engine);
        worker.closed().await;
        broker::testing::until("freed", || broker.upgrade().is_none()).await;
    }

    #[tokio::test]
    async fn stored_values_survive_a_restart() {
        let directory = std::env::temp_dir().join(format!("iii-engine-{}", uuid::Uuid::new_v4()));
        let start = || Engine::builder().without_listeners().data_dir(&directory).start();
        let place = r#"{"scope":"s","key":"k","value":1}"#;
        for stop in [true, false] {
            let engine = start().await.unwrap();
            assert_eq!(engine.data_dir(), Some(directory.as_path()));
            let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
            worker.announce("w", "default").await.unwrap();
            let old = worker.call("state::get", place).await.unwrap();
            assert_eq!(old.is_some(), !stop);
            worker.call("state::set", place).await.unwrap();
            let error = start().await.unwrap_err();
            assert_eq!(error.code(), code::STORE_FAILED);
            if stop {
                engine.stop().await;
                // A leaked broker does not keep the directory locked.
                std::mem::forget(engine.broker.clone());
            }
        }
        start().await.unwrap();
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn components_that_the_file_omits_are_off() {
        let mut builder = EngineBuilder::from_yaml("workers: [{ name: iii-cron }]").unwrap();
        let engine = builder.worker_port(0).start().await.unwrap();
        assert!(engine.worker_addr().is_some() && engine.http_addr().is_none());
        let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        let error = worker.call("state::get", "{}").await.unwrap_err();
        assert_eq!(error.code, code::FUNCTION_NOT_FOUND);
        worker.bind("c", "cron", "f", r#"{"expression":"@yearly"}"#);
        worker.nothing_else().await;
    }

    #[tokio::test(start_paused = true)]
    async fn engine_runs_in_memory_with_a_virtual_clock() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_599);
        let clock = Clock::starting_at(start);
        let engine = Engine::builder().without_listeners().clock(clock).start().await.unwrap();
        assert_eq!((engine.worker_addr(), engine.http_addr()), (None, None));
        let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        worker.function("f");
        worker.bind("c", "cron", "f", r#"{"expression":"0 0 9 * * *"}"#);
        let tick = worker.called().await;
        assert!(tick.data.as_str().contains("2026-01-05T09:00:00+00:00"));
        worker.bind("h", "http", "f", r#"{"api_path":"/hi"}"#);
        worker.nothing_else().await;
        let request = Request::get("/hi?a=1").body(Bytes::new()).unwrap();
        let answered = async {
            let call = worker.called().await;
            worker.answer(&call, Ok(Some(broker::testing::json(r#"{"body":"hi"}"#))));
        };
        let (response, ()) = tokio::join!(engine.request(request), answered);
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"\"hi\""[..]));
        engine.drain().await;
        engine.stop().await;
    }
}
