//! One call before it is made: its options, and the future that makes it.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::named;
use super::retry::Retry;
use crate::channel::deserialize_with_session;
use crate::session::{CallRequest, Session};
use iii_wire::protocol::{Namespace, Payload};
use iii_wire::{Error, Result, code};

/// A call that is made when it is awaited.
///
/// It waits as long as [`Call::timeout`] says, else as long as the function or the app says.
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct Call<T> {
    session: Arc<Session>,
    request: Result<CallRequest>,
    read: Read<T>,
    retry: Option<Retry>,
}

/// How an answer is read.
type Read<T> = fn(&Payload) -> Result<T, serde_json::Error>;

/// What an engine gives for a call that was put into a queue.
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
        Self::reading(session, request, Payload::parse)
    }

    /// A call whose answer does not have the form of `T`.
    pub(super) fn reading(session: Arc<Session>, request: Result<CallRequest>, read: Read<T>) -> Self {
        Self { session, request, read, retry: None }
    }

    /// How long the caller waits, also for a link to the engine. Default: that of the app, which is 30 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout = Some(timeout))
    }

    /// The namespace of the function. Default: that of the worker, and `default` for ids that begin with `engine::`.
    ///
    /// One that is blank, or has control characters, fails the call with `invalid_argument`.
    pub fn namespace(mut self, namespace: impl Into<Namespace>) -> Self {
        let namespace = namespace.into();
        match named("namespace", &namespace) {
            Ok(()) => self.with(|request| request.namespace = Some(namespace)),
            Err(error) => {
                self.request = self.request.and(Err(error));
                self
            }
        }
    }

    /// Makes the call again if it fails in a way that may pass, all within the timeout of the call. The function must be
    /// idempotent: see [`Retry`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Adds side data, which the function takes by `Metadata<T>`.
    pub fn metadata(mut self, metadata: &(impl Serialize + ?Sized)) -> Self {
        match Payload::new(metadata) {
            Ok(metadata) => self.with(|request| request.metadata = Some(metadata)),
            Err(error) => {
                let text = format!("the metadata cannot be written as JSON: {error}");
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
            let read = self.read;
            deserialize_with_session(Some(self.session), || read(&result)).map_err(|error| {
                let text = format!("the result of `{function_id}` does not fit: {error}");
                Error::new(code::INVALID_RESULT, text)
            })
        })
    }
}
