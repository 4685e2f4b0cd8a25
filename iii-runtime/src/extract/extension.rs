//! What interceptors add to an invocation: values for the handler, the payload as they read it, a nearer deadline.

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

/// A value that an interceptor has put into the invocation with [`Invocation::insert`].
///
/// Without one, the invocation fails with the code [`extension_missing`](code::EXTENSION_MISSING);
/// `Option<Extension<T>>` is `None` then.
///
/// ```
/// use iii::intercept::from_fn;
/// use iii::prelude::*;
///
/// /// Who asks.
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
                "`{id}` takes a `{name}` that nobody has put into the invocation: add the interceptor that calls \
                 `call.insert(…)`, around the app or the function"
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

/// What interceptors have added to an invocation.
#[derive(Default)]
pub(super) struct Added {
    values: Option<Box<Resources>>,
    /// The payload in the type in which somebody has read it.
    input: Option<Box<dyn Any + Send + Sync>>,
    /// The limit that the deadline comes from.
    limit: Option<Duration>,
}

impl Invocation {
    /// An invocation by a direct call, for unit tests of interceptors and extractors.
    pub fn test(context: Context, data: Payload) -> Self {
        let resources = Arc::default();
        let (metadata, request_parts, session) = (None, RequestParts::NONE, None);
        Self::new(InvocationParts { context, data, metadata, request_parts, resources, session })
    }

    /// Puts a value in, in place of an earlier one of its type. Interceptors further in see it, and the function takes it by
    /// [`Extension<T>`].
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.added.values.get_or_insert_default().insert(Arc::new(value));
    }

    /// The value of a type that was put in.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.added.values.as_ref()?.get()
    }

    /// The payload, read into a type. A function whose payload has this type takes the same value: it is not read twice.
    ///
    /// # Errors
    ///
    /// `invalid_payload`, if it does not fit; the error names the field.
    pub fn input<T: Input + Sync>(&mut self) -> Result<&T> {
        if !self.added.input.as_ref().is_some_and(|input| input.is::<T>()) {
            let input = T::from_invocation(self)?;
            self.added.input = Some(Box::new(input));
        }
        let input = self.added.input.as_ref().and_then(|input| input.downcast_ref());
        Ok(input.expect("it was read above"))
    }

    /// Puts other data in the place of what came: an older form made new, or something decrypted.
    ///
    /// From an `http` trigger, the data is the whole request.
    pub fn set_data(&mut self, data: Payload) {
        self.added.input = None;
        self.replace_data(data);
    }

    /// Moves the deadline nearer: what is further in ends after `limit`, with the code [`timeout`](code::TIMEOUT). A
    /// deadline that is nearer already stays.
    pub fn limit_time(&mut self, limit: Duration) {
        // A limit that no clock can show is none.
        let Some(deadline) = Instant::now().checked_add(limit) else { return };
        if self.context().deadline().is_none_or(|before| deadline < before) {
            self.context_mut().deadline = Some(deadline);
            self.added.limit = Some(limit);
        }
    }

    /// Says what limit the deadline comes from, for the error of those that are late.
    pub(crate) fn set_time_limit(&mut self, limit: Option<Duration>) {
        self.added.limit = limit;
    }

    /// The limit that the deadline comes from.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.added.limit
    }

    /// The payload as a function takes it: what was read already, else what is read now.
    pub(crate) fn take_input<T: Input>(&mut self) -> Result<T> {
        match self.added.input.take().map(|input| input.downcast()) {
            Some(Ok(input)) => Ok(*input),
            Some(Err(_)) | None => T::from_invocation(self),
        }
    }
}

impl fmt::Debug for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Added").field("values", &self.values).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is read.
    #[derive(Debug, PartialEq, schemars::JsonSchema)]
    struct Counted(u32);

    static READ: AtomicUsize = AtomicUsize::new(0);

    impl<'de> serde::Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
            READ.fetch_add(1, Ordering::Relaxed);
            u32::deserialize(json).map(Self)
        }
    }

    #[test]
    fn a_payload_is_read_once_into_the_type_of_the_function() {
        let mut call = Invocation::test(Context::test(), Payload::new(&7).unwrap());
        assert_eq!(call.input::<Counted>().unwrap(), &Counted(7));
        assert_eq!(call.input::<Counted>().unwrap(), &Counted(7));
        assert_eq!(call.take_input::<Counted>().unwrap(), Counted(7));
        assert_eq!(READ.load(Ordering::Relaxed), 1);
        // Another type, and other data, are read anew.
        assert_eq!(call.input::<u64>().unwrap(), &7);
        call.set_data(Payload::new(&8).unwrap());
        assert_eq!(call.take_input::<u64>().unwrap(), 8);
        assert_eq!(call.input::<String>().unwrap_err().code(), code::INVALID_PAYLOAD);
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_deadline_holds() {
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
