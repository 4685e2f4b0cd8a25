//! The HTTP client of HTTP functions: it connects only to addresses that were checked, and follows no redirect.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Builder, Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::response::BAD_GATEWAY;
use super::rules::Rules;
use iii_wire::protocol::ErrorBody;

/// How long an address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next call, and how many of one endpoint.
const IDLE: (Duration, usize) = (Duration::from_secs(30), 32);
/// How long the head of a response may be, in bytes; one chunk of reading may go beyond. (It has at most 100 headers.)
const HEAD: usize = 64 << 10;

/// The client of one engine. Connections are kept for a while and used again.
pub(super) struct Client {
    http: Pool<HttpConnector<Resolver>, Full<Bytes>>,
    #[cfg(feature = "tls")]
    https: tls::Https,
}

impl Client {
    /// A client that keeps to the rules.
    pub(super) fn new(rules: &Arc<Rules>) -> Self {
        Self {
            http: settings().build(connector(rules)),
            #[cfg(feature = "tls")]
            https: tls::Https::new(rules.clone()),
        }
    }

    /// Sends a request whose URL was checked, and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// Code `url_validation_failed` if an address of the host is not allowed, `http_request_failed` for everything that
    /// goes wrong on the way. `origin` names the endpoint.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        origin: &str,
    ) -> Result<Response<Incoming>, ErrorBody> {
        #[cfg(feature = "tls")]
        if request.uri().scheme_str() == Some("https") {
            let https = self.https.pool().map_err(|why| no_answer(origin, &why))?;
            return https.request(request).await.map_err(|error| failed(origin, &error));
        }
        self.http.request(request).await.map_err(|error| failed(origin, &error))
    }
}

fn settings() -> Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE.0)
        .pool_max_idle_per_host(IDLE.1)
        .http1_max_buf_size(HEAD);
    builder
}

fn connector(rules: &Arc<Rules>) -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(Resolver(rules.clone()));
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    connector
}

/// Looks names up for the connector, which connects to what it gets from here and to nothing else. Literal addresses
/// do not come here: they were checked with the URL.
#[derive(Clone)]
struct Resolver(Arc<Rules>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Refused;
    type Future = BoxFuture<'static, Result<Self::Response, Refused>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let rules = self.0.clone();
        async move {
            let addresses = rules.resolve(name.as_str()).await.map_err(Refused)?;
            Ok(addresses.into_iter())
        }
        .boxed()
    }
}

/// An error of the rules, on its way through the connector.
#[derive(Debug)]
struct Refused(ErrorBody);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Refused {}

fn failed(origin: &str, error: &PoolError) -> ErrorBody {
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<Refused>() {
        Some(Refused(error)) => error.clone(),
        // A request without a connection was never sent, so it may be made again.
        None if error.is_connect() => {
            ErrorBody { retryable: Some(true), ..no_answer(origin, &cause.to_string()) }
        }
        None => no_answer(origin, &cause.to_string()),
    }
}

fn no_answer(origin: &str, why: &str) -> ErrorBody {
    ErrorBody {
        status: Some(BAD_GATEWAY),
        ..ErrorBody::new("http_request_failed", format!("no answer from `{origin}`: {why}"))
    }
}

/// Endpoints with TLS.
#[cfg(feature = "tls")]
mod tls {
    use std::sync::OnceLock;

    use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
    use rustls::ClientConfig;
    use rustls::crypto::ring;

    use super::{Arc, Bytes, Full, HttpConnector, Pool, Resolver, Rules, connector, settings};

    type Https1 = Pool<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

    /// The client for them, made when it is first needed: the certificates of the machine are read then.
    pub(super) struct Https {
        rules: Arc<Rules>,
        pool: OnceLock<Result<Https1, String>>,
    }

    impl Https {
        pub(super) fn new(rules: Arc<Rules>) -> Self {
            Self { rules, pool: OnceLock::new() }
        }

        pub(super) fn pool(&self) -> Result<&Https1, String> {
            let made = self.pool.get_or_init(|| Ok(self.pool_with(trusting_the_machine()?)));
            made.as_ref().map_err(Clone::clone)
        }

        fn pool_with(&self, config: ClientConfig) -> Https1 {
            let mut http = connector(&self.rules);
            http.enforce_http(false);
            let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
            settings().build(https.enable_http1().wrap_connector(http))
        }

        /// For tests: trusts what the config says.
        #[cfg(test)]
        pub(super) fn trust(&self, config: ClientConfig) {
            assert!(self.pool.set(Ok(self.pool_with(config))).is_ok(), "it is not in use yet");
        }
    }

    fn trusting_the_machine() -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
        let builder = builder.with_native_roots().map_err(|error| {
            format!("the certificates that this machine trusts cannot be read: {error}")
        })?;
        Ok(builder.with_no_client_auth())
    }
}

#[cfg(all(test, feature = "tls"))]
impl Client {
    /// For tests: trusts what the config says.
    pub(super) fn trust(&self, config: rustls::ClientConfig) {
        self.https.trust(config);
    }
}
