//! The emitter of a trigger type, which fires the function of one binding.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Call, Client, Receipt};
use crate::extract::Resources;
use iii_wire::protocol::{FunctionId, Namespace, Payload, TriggerId};
use iii_wire::{Error, Result, code};

/// Fires the function of one binding. Cheap to clone.
///
/// Applies the binding: calls the function in its namespace, with the metadata of the trigger, and only if the condition
/// holds. The condition is the `condition_function_id` of the configuration; the function is not called if it returns
/// `false` or fails.
pub struct Emitter<E> {
    inner: Arc<EmitterInner>,
    event: PhantomData<fn(&E)>,
}

/// The binding of an emitter, and what it needs to call functions.
pub(crate) struct EmitterInner {
    pub client: Client,
    pub resources: Arc<Resources>,
    pub trigger_id: TriggerId,
    pub function_id: FunctionId,
    pub namespace: Namespace,
    pub metadata: Option<Payload>,
    pub condition: Option<FunctionId>,
}

impl<E> Emitter<E> {
    pub(crate) fn new(inner: EmitterInner) -> Self {
        Self { inner: Arc::new(inner), event: PhantomData }
    }

    /// The id of the trigger.
    pub fn trigger_id(&self) -> &TriggerId {
        &self.inner.trigger_id
    }

    /// The id of the bound function.
    pub fn function_id(&self) -> &FunctionId {
        &self.inner.function_id
    }

    /// The namespace of the bound function.
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// A client, to call other functions.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// State that the app provides.
    ///
    /// # Errors
    ///
    /// Code [`internal`](code::INTERNAL) if the app does not provide it. Logs the name of the type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.inner.resources.get().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            tracing::error!("the state `{name}` is not provided: call `app.state(value)`");
            Error::new(
                code::INTERNAL,
                "the trigger type requires state that its app does not provide",
            )
        })
    }
}

impl<E: Serialize> Emitter<E> {
    /// Fires the function without waiting for it. Completes when the call is queued for the engine.
    ///
    /// # Errors
    ///
    /// As [`Client::send`], and if the condition fails.
    pub async fn emit(&self, event: &E) -> Result<()> {
        if self.condition_holds(event).await? {
            let call = self.inner.client.send_raw(self.inner.function_id.clone(), event);
            self.with_binding(call).await?;
        }
        Ok(())
    }

    /// Fires the function and waits for its result. Returns `None` if the condition is `false`.
    ///
    /// # Errors
    ///
    /// As [`Client::call`], and if the condition fails.
    pub async fn call<T: DeserializeOwned + 'static>(&self, event: &E) -> Result<Option<T>> {
        if !self.condition_holds(event).await? {
            return Ok(None);
        }
        let call = self.inner.client.call_raw(self.inner.function_id.clone(), event);
        self.with_binding(call).await.map(Some)
    }

    /// Enqueues the call in a named queue, which delivers it at least once. Returns `None` if the condition is `false`.
    ///
    /// # Errors
    ///
    /// As [`Client::enqueue`], and if the condition fails.
    pub async fn enqueue(&self, queue: impl Into<String>, event: &E) -> Result<Option<Receipt>> {
        if !self.condition_holds(event).await? {
            return Ok(None);
        }
        let call = self.inner.client.enqueue_raw(queue, self.inner.function_id.clone(), event);
        self.with_binding(call).await.map(Some)
    }

    /// Evaluates the condition, if there is one. Any result but `false` holds ([protocol 5](crate::protocol#s5)).
    async fn condition_holds(&self, event: &E) -> Result<bool> {
        let Some(condition) = &self.inner.condition else { return Ok(true) };
        let call = self.inner.client.call_raw::<Payload>(condition.clone(), event);
        let result = call.namespace(self.inner.namespace.clone()).await?;
        Ok(result.as_str() != "false")
    }

    /// Sets the namespace and the metadata of the binding.
    fn with_binding<T>(&self, call: Call<T>) -> Call<T> {
        let call = call.namespace(self.inner.namespace.clone());
        match &self.inner.metadata {
            Some(metadata) => call.metadata(metadata),
            None => call,
        }
    }
}

impl<E> Clone for Emitter<E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), event: PhantomData }
    }
}

impl<E> fmt::Debug for Emitter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("trigger_id", &self.inner.trigger_id)
            .field("function_id", &self.inner.function_id)
            .finish_non_exhaustive()
    }
}
