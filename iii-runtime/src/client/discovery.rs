//! What the engine knows: functions, trigger types, triggers and workers, as typed lists (protocol section 6.1).

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

/// A function with its schemas and what fires it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: FunctionSummary,
    /// JSON Schema of the input.
    #[serde(default)]
    pub request_schema: Option<serde_json::Value>,
    /// JSON Schema of the result.
    #[serde(default)]
    pub response_schema: Option<serde_json::Value>,
    /// The triggers that fire it.
    #[serde(default)]
    pub registered_triggers: Vec<FunctionTrigger>,
}

/// A trigger of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionTrigger {
    /// The id of the trigger.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// What it was told.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// A trigger type, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerTypeSummary {
    /// Its id.
    pub id: TriggerTypeId,
    /// The partition it is in.
    #[serde(default)]
    pub namespace: Namespace,
    /// The worker that provides it: its name, else the first part of the type's id.
    #[serde(default)]
    pub worker_name: String,
    /// What fires it.
    #[serde(default)]
    pub description: String,
}

/// A trigger that is bound to a function, as lists show it. One that waits for its type is in no list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerSummary {
    /// Its id.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// The function that it fires.
    pub function_id: FunctionId,
    /// The worker that bound it.
    #[serde(default)]
    pub worker_name: String,
    /// What it was told.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// A worker, as lists show it. Providers of the engine are workers whose `runtime` is `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSummary {
    /// The id of its connection.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The partition of all that it registers.
    #[serde(default)]
    pub namespace: Namespace,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Its language: `rust`, `node`, `python`, `browser`, or `engine`.
    #[serde(default)]
    pub runtime: Option<String>,
    /// The version of it, or of its SDK.
    #[serde(default)]
    pub version: Option<String>,
    /// The system it runs on.
    #[serde(default)]
    pub os: Option<String>,
    /// What it runs in.
    #[serde(default)]
    pub isolation: Option<String>,
    /// The address it came from.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// `connected`; `available` for parts of the engine.
    pub status: String,
    /// When it came, in milliseconds since 1970.
    #[serde(default)]
    pub connected_at_ms: u64,
    /// How many functions it serves.
    #[serde(default)]
    pub function_count: usize,
    /// How many calls it is serving.
    #[serde(default)]
    pub active_invocations: usize,
}

/// Something that the engine lists.
pub trait Listable: DeserializeOwned + Send + 'static {
    /// The function that lists it.
    #[doc(hidden)]
    const FUNCTION: &'static str;
    /// The field of its answer.
    #[doc(hidden)]
    const FIELD: &'static str;
}

macro_rules! listed {
    ($($type:ident $function:literal $field:literal)*) => {$(
        impl Listable for $type {
            const FUNCTION: &'static str = $function;
            const FIELD: &'static str = $field;
        }
    )*};
}

listed! {
    FunctionSummary "engine::functions::list" "functions"
    TriggerTypeSummary "engine::triggers::list" "triggers"
    TriggerSummary "engine::registered-triggers::list" "registered_triggers"
    WorkerSummary "engine::workers::list" "workers"
}

/// A question for a list, asked when it is awaited.
#[must_use = "a list is asked for when it is awaited"]
#[derive(Debug)]
pub struct ListRequest<T> {
    pub(super) session: Arc<Session>,
    pub(super) filter: Filter,
    listed: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Filter {
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
        Self::of(session, Filter::default())
    }

    pub(super) fn of(session: Arc<Session>, filter: Filter) -> Self {
        Self { session, filter, listed: PhantomData }
    }

    /// Only those with this text in their id or description.
    pub fn search(mut self, text: impl Into<String>) -> Self {
        self.filter.search = Some(text.into());
        self
    }

    /// Also those of the engine, and those that are marked as internal.
    pub fn internal(mut self) -> Self {
        self.filter.include_internal = true;
        self
    }
}

impl ListRequest<FunctionSummary> {
    /// Only ids that begin with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.filter.prefix = Some(prefix.into());
        self
    }

    /// Only those of a worker, by its name.
    pub fn worker(mut self, name: impl Into<String>) -> Self {
        self.filter.worker = Some(name.into());
        self
    }
}

impl ListRequest<TriggerSummary> {
    /// Only those of a type.
    pub fn of_type(mut self, id: impl Into<String>) -> Self {
        self.filter.trigger_type = Some(id.into());
        self
    }

    /// Only those of a function.
    pub fn of_function(mut self, id: impl Into<String>) -> Self {
        self.filter.function_id = Some(id.into());
        self
    }
}

impl ListRequest<WorkerSummary> {
    /// Only those of a language, or `engine`.
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
            let request = payload(&self.filter).map(|data| CallRequest::builtin(T::FUNCTION, data));
            let answer: Payload = Call::new(self.session, request).await?;
            let misfit = |error: serde_json::Error| {
                let text = format!("the result of `{}` does not fit: {error}", T::FUNCTION);
                Error::new(code::INVALID_RESULT, text)
            };
            let fields = answer.fields().map_err(misfit)?;
            match fields.iter().find(|(name, _)| name == T::FIELD) {
                Some((_, list)) => serde_json::from_str(list.get()).map_err(misfit),
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

    /// Lists the trigger types that functions can be bound to.
    pub fn trigger_types(&self) -> ListRequest<TriggerTypeSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Lists the triggers that are bound.
    pub fn triggers(&self) -> ListRequest<TriggerSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Lists the workers that are connected.
    pub fn workers(&self) -> ListRequest<WorkerSummary> {
        ListRequest::new(self.session().clone())
    }

    /// Tells all about one function. Without [`Call::namespace`] of its own, it is looked for in `default` first.
    ///
    /// # Errors
    ///
    /// Code `NOT_FOUND` if there is none.
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
