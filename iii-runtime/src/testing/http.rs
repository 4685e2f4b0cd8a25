//! Requests to `http` triggers, through the engine's own router and without a socket.

use std::fmt;
use std::future::Future;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Harness;
use super::harness::Mode;
use iii_wire::BoxError;

/// Makes requests. Made by [`Harness::http`].
#[derive(Debug, Clone)]
pub struct Http {
    harness: Harness,
}

/// A request that is about to be sent.
#[must_use = "a request is sent by `send` or `stream`"]
#[derive(Debug, Clone)]
pub struct HttpCall {
    harness: Harness,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A response that has come whole.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// A response whose body is still coming.
pub struct StreamedAnswer {
    status: u16,
    headers: HeaderMap,
    body: UnsyncBoxBody<Bytes, BoxError>,
}

impl Http {
    pub(super) fn new(harness: Harness) -> Self {
        Self { harness }
    }

    /// A `GET` request. The path may have a query: `/orders?tag=new`.
    pub fn get(&self, path: &str) -> HttpCall {
        self.request("GET", path)
    }

    /// A `POST` request.
    pub fn post(&self, path: &str) -> HttpCall {
        self.request("POST", path)
    }

    /// A `PUT` request.
    pub fn put(&self, path: &str) -> HttpCall {
        self.request("PUT", path)
    }

    /// A `PATCH` request.
    pub fn patch(&self, path: &str) -> HttpCall {
        self.request("PATCH", path)
    }

    /// A `DELETE` request.
    pub fn delete(&self, path: &str) -> HttpCall {
        self.request("DELETE", path)
    }

    /// A request of any method.
    ///
    /// # Panics
    ///
    /// If there is no such method.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str) -> HttpCall {
        let method = Method::from_bytes(method.as_bytes());
        HttpCall {
            harness: self.harness.clone(),
            method: method.expect("a method of HTTP"),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl HttpCall {
    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If the name or the value cannot be part of a header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name of a header");
        self.headers.append(name, HeaderValue::from_str(value).expect("a value of a header"));
        self
    }

    /// Adds `authorization: Bearer …`.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets a JSON body, and its content type.
    ///
    /// # Panics
    ///
    /// If the value cannot be written as JSON.
    #[track_caller]
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(body).expect("the body can be written as JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request, and waits for all of the response.
    ///
    /// # Panics
    ///
    /// If the path is none, and if the body breaks off.
    #[track_caller]
    pub fn send(self) -> impl Future<Output = HttpAnswer> + use<> {
        let streamed = self.stream();
        async move {
            let StreamedAnswer { status, headers, body } = streamed.await;
            let body = body.collect().await.expect("the response is complete").to_bytes();
            HttpAnswer { status, headers, body }
        }
    }

    /// Sends the request, and waits until the response begins.
    ///
    /// # Panics
    ///
    /// If the path is none.
    #[track_caller]
    pub fn stream(self) -> impl Future<Output = StreamedAnswer> + use<> {
        self.harness.step("http");
        let Self { harness, method, path, headers, body } = self;
        let uri: Uri = match path.parse() {
            Ok(uri) if path.starts_with('/') => uri,
            _ => panic!("`{path}` is no path of a request, such as `/orders/7?tag=new`"),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        async move {
            let world = harness.started().await;
            let response = match (&world.engine, &harness.inner.mode) {
                (Some(engine), _) => engine.respond(request).await,
                (None, Mode::Remote { http, .. }) => match elsewhere(http, request).await {
                    Ok(response) => response,
                    Err(error) => panic!("no answer from {http} (III_TEST_HTTP_URL): {error}"),
                },
                (None, _) => unreachable!("an engine that is not elsewhere is here"),
            };
            let (parts, body) = response.into_parts();
            StreamedAnswer { status: parts.status.as_u16(), headers: parts.headers, body }
        }
    }
}

/// Sends a request over a socket.
async fn elsewhere(
    base: &str,
    mut request: Request<Bytes>,
) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError> {
    let base: Uri = base.parse()?;
    let authority = base.authority().ok_or("the URL has no host")?.as_str().to_owned();
    let address = match base.port_u16() {
        Some(_) => authority.clone(),
        None => format!("{authority}:80"),
    };
    request.headers_mut().insert("host", authority.parse()?);
    let socket = TokioIo::new(tokio::net::TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl HttpAnswer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of a name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// All headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body read into a type; `serde_json::Value` takes any JSON.
    ///
    /// # Panics
    ///
    /// If it does not fit.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(body) => body,
            Err(error) => panic!(
                "the body does not fit: {error}: status {}, {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            ),
        }
    }
}

impl StreamedAnswer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of a name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Waits for the next part of the body; `None` at its end.
    ///
    /// # Panics
    ///
    /// If the body breaks off.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = self.body.frame().await?.expect("the response is complete");
            if let Ok(bytes) = frame.into_data() {
                return Some(bytes);
            }
        }
    }
}

impl fmt::Debug for StreamedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}
