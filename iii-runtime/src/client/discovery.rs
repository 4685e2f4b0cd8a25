//! Discovery: the functions, trigger types, triggers and workers of the engine, as typed lists ([protocol 6.1](crate::protocol#s6-1)).

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client, payload};
use crate::session::{CallRequest, Session};
pub use iii_wire::event::FunctionSummary;
use iii_wire::protocol::{FunctionId, Namespace, Payload, TriggerId, TriggerTypeId};
use iii_wire::{Error, Result, code};

/// A function with its schemas and triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDetail {
    /// The fields that lists have, too.
    #[serde(flatten)]
    pub summary: FunctionSummary,
    /// JSON Schema of the input.
    #[serde(default)]
    pub request_schema: Option<serde_json::Value>,
    /// JSON Schema of the result.
    #[serde(default)]
    pub response_schema: Option<serde_json::Value>,
    /// The triggers of the function.
    #[serde(default)]
    pub registered_triggers: Vec<FunctionTrigger>,
}

/// A trigger of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionTrigger {
    /// The id of the trigger.
    pub id: TriggerId,
    /// The type of the trigger.
    pub trigger_type: TriggerTypeId,
    /// The configuration of the trigger.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// A trigger type in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerTypeSummary {
    /// The id of the type.
    pub id: TriggerTypeId,
    /// The namespace of the type.
    #[serde(default)]
    pub namespace: Namespace,
    /// The name of the worker that provides it, else the first segment of the type's id.
    #[serde(default)]
    pub worker_name: String,
    /// The description of the type: what fires it.
    #[serde(default)]
    pub description: String,
}

/// A registered trigger in a list. Lists omit triggers whose type no worker provides yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerSummary {
    /// The id of the trigger.
    pub id: TriggerId,
    /// The type of the trigger.
    pub trigger_type: TriggerTypeId,
    /// The id of the function that it fires.
    pub function_id: FunctionId,
    /// The name of the worker that registered it.
    #[serde(default)]
    pub worker_name: String,
    /// The configuration of the trigger.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// A worker in a list. The built-in providers of the engine are workers whose `runtime` is `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSummary {
    /// The id of its connection.
    pub id: String,
    /// The name of the worker.
    #[serde(default)]
    pub name: Option<String>,
    /// The namespace of its functions and triggers.
    #[serde(default)]
    pub namespace: Namespace,
    /// The description of the worker.
    #[serde(default)]
    pub description: Option<String>,
    /// The language of the worker: `rust`, `node`, `python` or `browser`; or `engine`.
    #[serde(default)]
    pub runtime: Option<String>,
    /// The version of the worker, or of its SDK.
    #[serde(default)]
    pub version: Option<String>,
    /// The operating system.
    #[serde(default)]
    pub os: Option<String>,
    /// The isolation environment that the worker reports.
    #[serde(default)]
    pub isolation: Option<String>,
    /// The remote address of its connection.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// `connected`; `available` for the built-in providers of the engine.
    pub status: String,
    /// When it connected, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub connected_at_ms: u64,
    /// The number of functions that it serves.
    #[serde(default)]
    pub function_count: usize,
    /// The number of invocations in flight.
    #[serde(default)]
    pub active_invocations: usize,
}

/// A kind of list that the engine serves.
pub trait Listable: DeserializeOwned + Send + 'static {
    /// The built-in function that returns the list.
    #[doc(hidden)]
    const FUNCTION: &'static str;
    /// The field of its result that has the list.
    #[doc(hidden)]
    const FIELD: &'static str;
}

macro_rules! listable {
    ($($type:ident $function:literal $field:literal)*) => {$(
        impl Listable for $type {
            const FUNCTION: &'static str = $function;
            const FIELD: &'static str = $field;
        }
    )*};
}

listable! {
    FunctionSummary "engine::functions::list" "functions"
    TriggerTypeSummary "engine::triggers::list" "triggers"
    TriggerSummary "engine::registered-triggers::list" "registered_triggers"
    WorkerSummary "engine::workers::list" "workers"
}

/// Reads a list when it is awaited.
#[must_use = "a list is read when it is awaited"]
#[derive(Debug)]
pub struct ListRequest<T> {
    pub(super) session: Arc<Session>,
    pub(super) filter: ListFilter,
    items: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ListFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    include_internal: bool,
}

impl<T> ListRequest<T> {
    fn new(session: Arc<Session>) -> Self {
        Self::with_filter(session, ListFilter::default())
    }

    pub(super) fn with_filter(session: Arc<Session>, filter: ListFilter) -> Self {
        Self { session, filter, items: PhantomData }
    }

    /// Limits the list to entries whose id or description contains a string.
    pub fn search(mut self, text: impl Into<String>) -> Self {
        self.filter.search = Some(text.into());
        self
    }

    /// Includes entries of the engine, and entries that are marked as internal.
    pub fn internal(mut self) -> Self {
        self.filter.include_internal = true;
        self
    }
}

impl ListRequest<FunctionSummary> {
    /// Limits the list to ids that begin with a string.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.filter.prefix = Some(prefix.into());
        self
    }

    /// Limits the list to the functions of a worker, by its name.
    pub fn worker(mut self, name: impl Into<String>) -> Self {
        self.filter.worker = Some(name.into());
        self
    }
}

impl ListRequest<TriggerSummary> {
    /// Limits the list to triggers of a type.
    pub fn of_type(mut self, id: impl Into<String>) -> Self {
        self.filter.trigger_type = Some(id.into());
        self
    }

    /// Limits the list to triggers of a function.
    pub fn of_function(mut self, id: impl Into<String>) -> Self {
        self.filter.function_id = Some(id.into());
        self
    }
}

impl ListRequest<WorkerSummary> {
    /// Limits the list to workers of a language, or to `engine`.
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.filter.runtime = Some(runtime.into());
        self
    }
}

impl<T: Listable> IntoFuture for ListRequest<T> {
    type Output = Result<Vec<T>>;
    type IntoFuture = BoxFuture<'static, Result<Vec<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let data = payload(&self.filter);
            let request = data.map(|data| CallRequest::builtin(T::FUNCTION, data));
            let result: Payload = Call::new(self.session, request).await?;
            let mismatch = |error: serde_json::Error| {
                let text =
                    format!("the result of `{}` does not match its type: {error}", T::FUNCTION);
                Error::new(code::INVALID_RESULT, text)
            };
            let fields = result.fields().map_err(mismatch)?;
            match fields.iter().find(|(name, _)| name == T::FIELD) {
                Some((_, list)) => serde_json::from_str(list.get()).map_err(mismatch),
                None => Ok(Vec::new()),
            }
        })
    }
}

impl Client {
    /// Lists the functions that can be called.
    ///
    /// ```no_run
    /// # async fn example(client: iii::Client) -> iii::Result<()> {
    /// for function in client.functions().prefix("orders::").await? {
    ///     println!("{} of {}", function.function_id, function.worker_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn functions(&self) -> ListRequest<FunctionSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Lists the trigger types that workers and the engine provide.
    pub fn trigger_types(&self) -> ListRequest<TriggerTypeSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Lists the registered triggers.
    pub fn triggers(&self) -> ListRequest<TriggerSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Lists the connected workers.
    pub fn workers(&self) -> ListRequest<WorkerSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Describes a function with its schemas and triggers. Without [`Call::namespace`], the engine looks in `default` first.
    ///
    /// # Errors
    ///
    /// Code `NOT_FOUND` if there is no such function.
    pub fn function(&self, id: impl Into<FunctionId>) -> Call<FunctionDetail> {
        #[derive(Serialize)]
        struct Query {
            function_id: FunctionId,
        }
        let query = payload(&Query { function_id: id.into() });
        let request = query.map(|data| CallRequest::builtin("engine::functions::info", data));
        Call::new(self.session().clone(), request)
    }
}
