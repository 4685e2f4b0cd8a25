//! The hand of a trigger type on one binding: it fires the binding's function.

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
/// What the binding says is kept: its function in its namespace, its metadata, and its condition, if its config has a
/// `condition_function_id`: then nothing fires for which that function gives `false` or fails.
pub struct Emitter<E> {
    inner: Arc<Inner>,
    event: PhantomData<fn(&E)>,
}

/// What an emitter knows.
pub(crate) struct Inner {
    pub client: Client,
    pub resources: Arc<Resources>,
    pub trigger_id: TriggerId,
    pub function_id: FunctionId,
    pub namespace: Namespace,
    pub metadata: Option<Payload>,
    pub condition: Option<FunctionId>,
}

impl<E> Emitter<E> {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), event: PhantomData }
    }

    /// The id of the binding.
    pub fn trigger_id(&self) -> &TriggerId {
        &self.inner.trigger_id
    }

    /// The function that is bound.
    pub fn function_id(&self) -> &FunctionId {
        &self.inner.function_id
    }

    /// The namespace of that function.
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// Calls other functions.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// A value that the app provides.
    ///
    /// # Errors
    ///
    /// Code [`internal`](code::INTERNAL) if it provides none: the log names the type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.inner.resources.get().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            tracing::error!(
                "no one provides the state `{name}`: give it to the app with `app.state(value)`"
            );
            Error::new(code::INTERNAL, "the trigger type lacks a value of its app")
        })
    }
}

impl<E: Serialize> Emitter<E> {
    /// Fires the function, and does not wait for it: done when the call is queued for the engine.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; and if the condition fails.
    pub async fn emit(&self, event: &E) -> Result<()> {
        if self.passes(event).await? {
            self.here(self.inner.client.send_raw(self.inner.function_id.clone(), event)).await?;
        }
        Ok(())
    }

    /// Fires the function and waits for its result; `None` if the condition says no.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; and if the condition fails.
    pub async fn call<T: DeserializeOwned + 'static>(&self, event: &E) -> Result<Option<T>> {
        if !self.passes(event).await? {
            return Ok(None);
        }
        let call = self.inner.client.call_raw(self.inner.function_id.clone(), event);
        self.here(call).await.map(Some)
    }

    /// Puts the firing into a named queue: the function gets it at least once. `None` if the condition says no.
    ///
    /// # Errors
    ///
    /// As [`Client::enqueue`]; and if the condition fails.
    pub async fn enqueue(&self, queue: impl Into<String>, event: &E) -> Result<Option<Receipt>> {
        if !self.passes(event).await? {
            return Ok(None);
        }
        let call = self.inner.client.enqueue_raw(queue, self.inner.function_id.clone(), event);
        self.here(call).await.map(Some)
    }

    /// Asks the condition, if there is one. Only `false` says no (protocol section 5).
    async fn passes(&self, event: &E) -> Result<bool> {
        let Some(condition) = &self.inner.condition else { return Ok(true) };
        let call = self.inner.client.call_raw::<Payload>(condition.clone(), event);
        let answer = call.namespace(self.inner.namespace.clone()).await?;
        Ok(answer.as_str() != "false")
    }

    fn here<T>(&self, call: Call<T>) -> Call<T> {
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
