//! A call: its options, and the future that makes it.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::retry::Retry;
use super::validate_name;
use crate::channel::deserialize_with_session;
use crate::session::{CallRequest, Session};
use iii_wire::protocol::{Namespace, Payload};
use iii_wire::{Error, Result, code};

/// A call that is made when it is awaited.
///
/// Its timeout is that of [`Call::timeout`], else that of the function, else the default of the app.
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct Call<T> {
    session: Arc<Session>,
    request: Result<CallRequest>,
    decode: DecodeResult<T>,
    retry: Option<Retry>,
}

/// Decodes the result of a call.
type DecodeResult<T> = fn(&Payload) -> Result<T, serde_json::Error>;

/// The receipt of a call that was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id of the message.
    #[serde(rename = "messageReceiptId")]
    pub message_receipt_id: String,
}

impl<T> Call<T> {
    pub(super) fn new(session: Arc<Session>, request: Result<CallRequest>) -> Self
    where
        T: DeserializeOwned,
    {
        Self::with_decoder(session, request, Payload::parse)
    }

    /// A call whose result `decode` converts.
    pub(super) fn with_decoder(
        session: Arc<Session>,
        request: Result<CallRequest>,
        decode: DecodeResult<T>,
    ) -> Self {
        Self { session, request, decode, retry: None }
    }

    /// Sets the timeout, which includes the wait for a connection. Default: that of the app, which is 30 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout = Some(timeout))
    }

    /// Sets the namespace of the function. Default: that of the worker, and `default` for ids that begin with `engine::`.
    ///
    /// A namespace that is blank or contains control characters fails the call with `invalid_argument`.
    pub fn namespace(mut self, namespace: impl Into<Namespace>) -> Self {
        let namespace = namespace.into();
        match validate_name("namespace", &namespace) {
            Ok(()) => self.with(|request| request.namespace = Some(namespace)),
            Err(error) => {
                self.request = self.request.and(Err(error));
                self
            }
        }
    }

    /// Retries the call after a transient error, within the timeout of the call. The function must be idempotent: see
    /// [`Retry`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets the metadata, which the function takes with `Metadata<T>`.
    pub fn metadata(mut self, metadata: &(impl Serialize + ?Sized)) -> Self {
        match Payload::new(metadata) {
            Ok(metadata) => self.with(|request| request.metadata = Some(metadata)),
            Err(error) => {
                let text = format!("the metadata cannot be serialised: {error}");
                self.request = Err(Error::new(code::INVALID_ARGUMENT, text));
                self
            }
        }
    }

    fn with(mut self, change: impl FnOnce(&mut CallRequest)) -> Self {
        if let Ok(request) = &mut self.request {
            change(request);
        }
        self
    }
}

impl<T: 'static> IntoFuture for Call<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = self.request?;
            let function_id = request.function_id.clone();
            let result = match self.retry {
                None => self.session.call(request).await?,
                Some(retry) => retry.run(&self.session, request).await?,
            };
            let result = result.unwrap_or_default();
            let decode = self.decode;
            deserialize_with_session(Some(self.session), || decode(&result)).map_err(|error| {
                let text =
                    format!("the result of `{function_id}` does not match its type: {error}");
                Error::new(code::INVALID_RESULT, text)
            })
        })
    }
}
