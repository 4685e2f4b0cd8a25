//! The HTTP client of HTTP functions, which connects only to addresses that the policy allows and follows no redirects.

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
use hyper_util::client::legacy::{Builder, Client as PooledClient, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::policy::EndpointPolicy;
use super::response::BAD_GATEWAY;
use iii_wire::code;
use iii_wire::protocol::ErrorBody;

/// Timeout for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection stays in the pool.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of idle connections to one host.
const MAX_IDLE_PER_HOST: usize = 32;
/// Maximum size of a response head, in bytes. The last read may exceed it. The head has at most 100 fields.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The HTTP client of one engine, with a connection pool.
pub(super) struct HttpClient {
    http: PooledClient<HttpConnector<PolicyResolver>, Full<Bytes>>,
    #[cfg(feature = "tls")]
    https: tls::HttpsClient,
}

impl HttpClient {
    /// Creates a client that enforces a policy.
    pub(super) fn new(policy: &Arc<EndpointPolicy>) -> Self {
        Self {
            http: client_builder().build(connector(policy)),
            #[cfg(feature = "tls")]
            https: tls::HttpsClient::new(policy.clone()),
        }
    }

    /// Sends a request whose URL has passed the policy, and waits for the head of the response. `origin` names the
    /// endpoint in error messages.
    ///
    /// # Errors
    ///
    /// Code `url_validation_failed` if an address of the host is not allowed, `http_request_failed` for any other
    /// failure.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        origin: &str,
    ) -> Result<Response<Incoming>, ErrorBody> {
        #[cfg(feature = "tls")]
        if request.uri().scheme_str() == Some("https") {
            let https = self.https.get().map_err(|why| request_failed(origin, &why))?;
            return https.request(request).await.map_err(|error| client_error(origin, &error));
        }
        self.http.request(request).await.map_err(|error| client_error(origin, &error))
    }
}

fn client_builder() -> Builder {
    let mut builder = PooledClient::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_buf_size(MAX_HEAD_BYTES);
    builder
}

fn connector(policy: &Arc<EndpointPolicy>) -> HttpConnector<PolicyResolver> {
    let mut connector = HttpConnector::new_with_resolver(PolicyResolver(policy.clone()));
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector
}

/// Resolves host names for the connector, which connects only to the returned addresses. IP addresses in URLs are not
/// resolved; the policy has checked them with the URL.
#[derive(Clone)]
struct PolicyResolver(Arc<EndpointPolicy>);

impl Service<Name> for PolicyResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = BoxFuture<'static, Result<Self::Response, ResolveError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0.clone();
        async move {
            let addresses = policy.resolve(name.as_str()).await.map_err(ResolveError)?;
            Ok(addresses.into_iter())
        }
        .boxed()
    }
}

/// An error of [`EndpointPolicy::resolve`], wrapped for the connector.
#[derive(Debug)]
struct ResolveError(ErrorBody);

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for ResolveError {}

fn client_error(origin: &str, error: &ClientError) -> ErrorBody {
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<ResolveError>() {
        Some(ResolveError(error)) => error.clone(),
        // Without a connection the request was not sent, so it can be retried.
        None if error.is_connect() => {
            ErrorBody { retryable: Some(true), ..request_failed(origin, &cause.to_string()) }
        }
        None => request_failed(origin, &cause.to_string()),
    }
}

fn request_failed(origin: &str, why: &str) -> ErrorBody {
    ErrorBody {
        status: Some(BAD_GATEWAY),
        ..ErrorBody::new(
            code::HTTP_REQUEST_FAILED,
            format!("the request to `{origin}` failed: {why}"),
        )
    }
}

/// The client for `https` URLs.
#[cfg(feature = "tls")]
mod tls {
    use std::sync::OnceLock;

    use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
    use rustls::ClientConfig;
    use rustls::crypto::ring;

    use super::{
        Arc, Bytes, EndpointPolicy, Full, HttpConnector, PolicyResolver, PooledClient,
        client_builder, connector,
    };

    type PooledHttpsClient =
        PooledClient<HttpsConnector<HttpConnector<PolicyResolver>>, Full<Bytes>>;

    /// Creates the client on first use, because that reads the root certificates of the operating system.
    pub(super) struct HttpsClient {
        policy: Arc<EndpointPolicy>,
        client: OnceLock<Result<PooledHttpsClient, String>>,
    }

    impl HttpsClient {
        pub(super) fn new(policy: Arc<EndpointPolicy>) -> Self {
            Self { policy, client: OnceLock::new() }
        }

        pub(super) fn get(&self) -> Result<&PooledHttpsClient, String> {
            let client = self.client.get_or_init(|| Ok(self.build(native_roots_config()?)));
            client.as_ref().map_err(Clone::clone)
        }

        fn build(&self, config: ClientConfig) -> PooledHttpsClient {
            let mut http = connector(&self.policy);
            http.enforce_http(false);
            let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
            client_builder().build(https.enable_http1().wrap_connector(http))
        }

        /// Uses another TLS config than the default.
        #[cfg(test)]
        pub(super) fn set_config(&self, config: ClientConfig) {
            assert!(
                self.client.set(Ok(self.build(config))).is_ok(),
                "the client is not in use yet"
            );
        }
    }

    fn native_roots_config() -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
        let builder = builder.with_native_roots().map_err(|error| {
            format!("the root certificates of this machine are unreadable: {error}")
        })?;
        Ok(builder.with_no_client_auth())
    }
}

#[cfg(all(test, feature = "tls"))]
impl HttpClient {
    /// Uses another TLS config than the default.
    pub(super) fn set_tls_config(&self, config: rustls::ClientConfig) {
        self.https.set_config(config);
    }
}
