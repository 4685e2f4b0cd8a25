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

/// The WebSocket close code for "the engine restarts": workers come back (protocol section 1.7).
const RESTARTING: u16 = 1012;

/// The providers that the test harness looks into.
#[cfg(feature = "testing")]
pub(crate) struct Probes {
    pub(crate) queues: Option<Arc<crate::queue::Queues>>,
    pub(crate) streams: Option<Arc<crate::stream::Streams>>,
}

/// A running engine in this process. Dropping it ends it at once; [`Engine::stop`] does so politely.
pub struct Engine {
    pub(crate) broker: Broker,
    /// Accepting connections; ended first.
    pub(crate) listeners: Arc<Tasks>,
    /// Serving the connections of workers.
    pub(crate) links: Arc<Tasks>,
    pub(crate) local: LocalTransport,
    pub(crate) intake: watch::Sender<bool>,
    pub(crate) http: Arc<http::HttpTriggers>,
    pub(crate) requests: Option<Arc<http::HttpListener>>,
    pub(crate) worker_addrs: Vec<SocketAddr>,
    pub(crate) stream_addr: Option<SocketAddr>,
    pub(crate) store: Store,
    pub(crate) data_dir: Option<PathBuf>,
    #[cfg(feature = "testing")]
    pub(crate) probes: Probes,
}

impl Engine {
    /// An engine with the usual settings, to alter and start.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// A transport whose links arrive at this engine exactly like those of sockets. Access rules are those of listeners:
    /// who connects in this process may do everything.
    pub fn local(&self) -> LocalTransport {
        self.local.clone()
    }

    /// Where workers connect, at the first of several listeners; `None` without listeners.
    pub fn worker_addr(&self) -> Option<SocketAddr> {
        self.worker_addrs.first().copied()
    }

    /// Where workers connect: the addresses of all listeners, in the order in which they were declared.
    pub fn worker_addrs(&self) -> &[SocketAddr] {
        &self.worker_addrs
    }

    /// The directory that keeps what the engine stores; `None`: it is in memory, and gone with the engine.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Where HTTP triggers are served; `None` without listeners.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.requests.as_ref().map(|requests| requests.addr())
    }

    /// Where clients subscribe to streams; `None` without listeners.
    pub fn stream_addr(&self) -> Option<SocketAddr> {
        self.stream_addr
    }

    /// Takes no more HTTP connections and closes the idle ones. Requests under way go on.
    pub fn stop_intake(&self) {
        self.intake.send_replace(true);
    }

    /// Answers an HTTP request in memory, on the same way as those that come over the socket. A response that is
    /// streamed is collected.
    pub async fn request(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.http.respond(request.map(Full::new)).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            // Nothing of it was sent yet, so that it can still be told.
            Err(_) => http::bad_gateway().map(http::ResponseBody::into_bytes),
        }
    }

    /// Takes no more HTTP connections, like [`Engine::stop_intake`], and waits until no request is under way.
    pub async fn drained(&self) {
        self.stop_intake();
        if let Some(requests) = &self.requests {
            requests.drained().await;
        }
    }

    /// Ends the engine: no more requests, connections are closed with a code that brings workers back later.
    ///
    /// Requests under way are not waited for: that is [`Engine::drained`]. What is stored is written, and the data
    /// directory is free for another engine.
    pub async fn stop(&self) {
        self.stop_intake();
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.finish(broker::limits::LINGER).await;
        if let Some(requests) = &self.requests {
            requests.abort();
        }
        if let Err(error) = self.store.close().await {
            tracing::error!("the store was not closed well: {error}");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.abort();
        if let Some(requests) = &self.requests {
            requests.abort();
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
    async fn a_taken_port_is_explained() {
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
    async fn workers_are_told_to_come_back() {
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
    async fn a_dropped_engine_lets_go_of_everything() {
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
    async fn what_is_stored_survives_the_engine() {
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
                // Somebody still has it, and the directory is free all the same.
                std::mem::forget(engine.broker.clone());
            }
        }
        start().await.unwrap();
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn what_the_file_does_not_list_is_off() {
        let builder = EngineBuilder::from_yaml("workers: [{ name: iii-cron }]").unwrap();
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
    async fn everything_works_in_memory_and_under_a_clock_of_ones_own() {
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
        engine.drained().await;
        engine.stop().await;
    }
}
