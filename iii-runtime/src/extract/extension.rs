//! What interceptors attach to an invocation: extensions, the parsed payload, an earlier deadline.

use std::any::{Any, type_name};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, Extract, Input, Invocation, InvocationParts, Resources};
use crate::function::RequestParts;
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// A value that an interceptor attached to the invocation with [`Invocation::insert`].
///
/// If there is none, the invocation fails with the code [`extension_missing`](code::EXTENSION_MISSING). Take
/// `Option<Extension<T>>` if it is optional.
///
/// ```
/// use iii::intercept::from_fn;
/// use iii::prelude::*;
///
/// /// The authenticated user.
/// struct User(String);
///
/// #[iii::function(id = "doc::whoami")]
/// async fn whoami(user: Extension<User>) -> String { user.0.0.clone() }
///
/// # #[cfg(feature = "testing")]
/// # iii::testing::Test::new("doc").only::<whoami>().setup(|app| Box::pin(async {
/// app.intercept(from_fn(|mut call, next| async move {
///     call.insert(User("Ada".to_owned()));
///     next.run(call).await
/// }));
/// # Ok(()) })).run(|iii| async move { assert_eq!(iii.call::<whoami>(()).await.unwrap(), "Ada"); });
/// ```
#[derive(Debug)]
pub struct Extension<T>(pub Arc<T>);

impl<T> Extension<T> {
    /// Wraps a value, for unit tests of a handler.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> Extract for Extension<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        call.extension().map(Self).ok_or_else(|| {
            let (name, id) = (type_name::<T>(), call.context().function_id());
            let text = format!(
                "`{id}` takes the extension `{name}`, which is missing: add the interceptor that calls \
                 `call.insert(…)` to the app or to the function"
            );
            Error::new(code::EXTENSION_MISSING, text)
        })
    }
}

impl<T: Send + Sync + 'static> Extract for Option<Extension<T>> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        Ok(call.extension().map(Extension))
    }
}

/// What interceptors attached to an invocation.
#[derive(Default)]
pub(super) struct InterceptorData {
    extensions: Option<Box<Resources>>,
    /// The payload, parsed into the type that was last asked for.
    input: Option<Box<dyn Any + Send + Sync>>,
    /// The timeout that the deadline was computed from.
    time_limit: Option<Duration>,
}

impl Invocation {
    /// An invocation as of a direct call, for unit tests of interceptors and extractors.
    pub fn test(context: Context, data: Payload) -> Self {
        let resources = Arc::default();
        let (metadata, request_parts, session) = (None, RequestParts::NONE, None);
        Self::new(InvocationParts { context, data, metadata, request_parts, resources, session })
    }

    /// Attaches a value, replacing an earlier one of its type. Inner interceptors can read it, and the function takes it
    /// with [`Extension<T>`].
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.interceptor_data.extensions.get_or_insert_default().insert(Arc::new(value));
    }

    /// The attached value of a type.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.interceptor_data.extensions.as_ref()?.get()
    }

    /// Parses the payload. A function whose payload has this type gets the same value without parsing it again.
    ///
    /// # Errors
    ///
    /// `invalid_payload` if the payload does not match the type. The error names the field.
    pub fn input<T: Input + Sync>(&mut self) -> Result<&T> {
        if !self.interceptor_data.input.as_ref().is_some_and(|input| input.is::<T>()) {
            let input = T::from_invocation(self)?;
            self.interceptor_data.input = Some(Box::new(input));
        }
        let input = self.interceptor_data.input.as_ref().and_then(|input| input.downcast_ref());
        Ok(input.expect("the input was parsed above"))
    }

    /// Replaces the data, for example with a migrated or a decrypted form.
    ///
    /// For an `http` trigger, the data is the whole request.
    pub fn set_data(&mut self, data: Payload) {
        self.interceptor_data.input = None;
        self.replace_data(data);
    }

    /// Sets a deadline after `limit`, unless there is an earlier one: inner interceptors and the handler are then cancelled,
    /// with the code [`timeout`](code::TIMEOUT).
    pub fn limit_time(&mut self, limit: Duration) {
        // A limit beyond the range of `Instant` is no limit.
        let Some(deadline) = Instant::now().checked_add(limit) else { return };
        if self.context().deadline().is_none_or(|current| deadline < current) {
            self.context_mut().deadline = Some(deadline);
            self.interceptor_data.time_limit = Some(limit);
        }
    }

    /// Sets the timeout that the deadline was computed from, which the timeout error reports.
    pub(crate) fn set_time_limit(&mut self, limit: Option<Duration>) {
        self.interceptor_data.time_limit = limit;
    }

    /// The timeout that the deadline was computed from.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.interceptor_data.time_limit
    }

    /// The payload for the function: takes the parsed input if an interceptor has parsed it into this type.
    pub(crate) fn take_input<T: Input>(&mut self) -> Result<T> {
        match self.interceptor_data.input.take().map(|input| input.downcast()) {
            Some(Ok(input)) => Ok(*input),
            Some(Err(_)) | None => T::from_invocation(self),
        }
    }
}

impl fmt::Debug for InterceptorData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptorData")
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is deserialised.
    #[derive(Debug, PartialEq, schemars::JsonSchema)]
    struct Counted(u32);

    static PARSED: AtomicUsize = AtomicUsize::new(0);

    impl<'de> serde::Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
            PARSED.fetch_add(1, Ordering::Relaxed);
            u32::deserialize(json).map(Self)
        }
    }

    #[test]
    fn a_payload_is_parsed_once_into_the_type_of_the_function() {
        let mut call = Invocation::test(Context::test(), Payload::new(&7).unwrap());
        assert_eq!(call.input::<Counted>().unwrap(), &Counted(7));
        assert_eq!(call.input::<Counted>().unwrap(), &Counted(7));
        assert_eq!(call.take_input::<Counted>().unwrap(), Counted(7));
        assert_eq!(PARSED.load(Ordering::Relaxed), 1);
        // Another type, and replaced data, are parsed again.
        assert_eq!(call.input::<u64>().unwrap(), &7);
        call.set_data(Payload::new(&8).unwrap());
        assert_eq!(call.take_input::<u64>().unwrap(), 8);
        assert_eq!(call.input::<String>().unwrap_err().code(), code::INVALID_PAYLOAD);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_deadline_applies() {
        let mut call = Invocation::test(Context::test(), Payload::null());
        call.limit_time(Duration::MAX);
        assert_eq!(call.context().time_left(), None);
        for (limit, left) in [(5, 5), (9, 5), (2, 2)] {
            call.limit_time(Duration::from_secs(limit));
            assert_eq!(call.context().time_left(), Some(Duration::from_secs(left)));
            assert_eq!(call.time_limit(), Some(Duration::from_secs(left)));
        }
    }

    #[tokio::test]
    async fn a_missing_extension_is_a_coded_error() {
        let mut call = Invocation::test(Context::test(), Payload::null());
        assert!(Option::<Extension<u8>>::extract(&mut call).await.unwrap().is_none());
        let error = Extension::<u8>::extract(&mut call).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code::EXTENSION_MISSING, 500));
        call.insert(1u8);
        call.insert(2u8);
        assert_eq!(*Extension::<u8>::extract(&mut call).await.unwrap(), 2);
    }
}
