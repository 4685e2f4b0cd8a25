//! The functions `engine::triggers::*`, `engine::registered-triggers::*`, `engine::register_trigger` and
//! `engine::unregister_trigger`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::functions::search_rank;
use super::output::{
    FunctionDetail, ParkedReason, TriggerSummary, TriggerTypeDetail, TriggerTypeSummary,
};
use super::{Discovery, not_found};
use crate::broker::Visibility;
use crate::provider::{Binding, BuiltIn, Call};
use iii_wire::code;
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, Namespace, Payload, RegisterTrigger, TriggerId, WorkerId,
};

/// Input of `engine::triggers::list`. Absent fields match everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct TriggerTypeListInput {
    /// A substring of the id or of the description. Ignores case.
    search: Option<String>,
    /// A prefix of the id.
    prefix: Option<String>,
    /// The name of the provider.
    worker: Option<String>,
    /// Whether to include trigger types whose id starts with `engine::`. Default: false.
    include_internal: Option<bool>,
}

/// Output of `engine::triggers::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct TriggerTypeListOutput {
    /// The trigger types, ordered by id.
    triggers: Vec<TriggerTypeSummary>,
}

/// Input of `engine::triggers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct TriggerTypeInfoInput {
    /// The trigger type id.
    id: String,
    /// The namespace. Default: `default`.
    namespace: Option<String>,
}

/// Input of `engine::registered-triggers::list`. Absent fields match everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct TriggerListInput {
    /// A substring of the trigger id, the trigger type or the function id. Ignores case.
    search: Option<String>,
    /// The trigger type.
    trigger_type: Option<String>,
    /// The function id.
    function_id: Option<String>,
    /// The name of the worker.
    worker: Option<String>,
    /// Whether to include triggers of functions whose id starts with `engine::`. Default: false.
    include_internal: Option<bool>,
    /// Whether to include parked triggers, whose type has no provider or whose provider rejected them. Default: false.
    include_parked: Option<bool>,
}

/// Output of `engine::registered-triggers::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct TriggerListOutput {
    /// The triggers, ordered by id.
    registered_triggers: Vec<TriggerSummary>,
}

/// Input of `engine::registered-triggers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct TriggerInfoInput {
    /// The trigger id.
    id: String,
}

/// A trigger with all details.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct TriggerDetail {
    #[serde(flatten)]
    summary: TriggerSummary,
    /// Metadata passed to the function with each firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
    /// The trigger type.
    trigger: Option<TriggerTypeDetail>,
    /// The function that the trigger invokes.
    function: Option<FunctionDetail>,
}

/// Input of `engine::register_trigger`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct RegisterTriggerInput {
    /// The trigger type.
    trigger_type: String,
    /// The function to invoke.
    function_id: String,
    /// The configuration, as the trigger type defines it.
    #[serde(default)]
    config: Payload,
    /// Metadata passed to the function with each firing.
    metadata: Option<Payload>,
    /// The namespace of the function. Default: `default`.
    namespace: Option<String>,
    /// The namespace of the provider.
    trigger_namespace: Option<String>,
}

/// Output of `engine::register_trigger`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RegisterTriggerOutput {
    /// The trigger id.
    id: String,
}

/// Input of `engine::unregister_trigger`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct UnregisterTriggerInput {
    /// The trigger id.
    id: String,
}

/// Output of `engine::unregister_trigger`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct UnregisterTriggerOutput {
    /// Whether the trigger was registered and the caller was allowed to remove it.
    removed: bool,
}

impl Discovery {
    pub(super) fn trigger_functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (register, unregister) = (self.clone(), self.clone());
        vec![
            self.listing_function(
                "engine::triggers::list",
                "Lists the registered trigger types.",
                |this, input, visibility| Ok(this.list_trigger_types(input, visibility)),
            ),
            self.listing_function(
                "engine::triggers::info",
                "Describes a trigger type.",
                Self::describe_trigger_type,
            ),
            self.listing_function(
                "engine::registered-triggers::list",
                "Lists the registered triggers.",
                |this, input, visibility| Ok(this.list_triggers(input, visibility)),
            ),
            self.listing_function(
                "engine::registered-triggers::info",
                "Describes a registered trigger.",
                Self::describe_trigger,
            ),
            BuiltIn::typed(
                "engine::register_trigger",
                "Registers a trigger of a function.",
                move |input: RegisterTriggerInput, call: Call| {
                    let this = register.clone();
                    async move { this.register_trigger(input, call.caller).await.map(Some) }
                },
            ),
            BuiltIn::sync(
                "engine::unregister_trigger",
                "Unregisters a trigger.",
                move |input: UnregisterTriggerInput, call: Call| {
                    let id = TriggerId::from(input.id);
                    let removed = unregister.broker.unregister_trigger(call.caller, &id);
                    Ok(Some(UnregisterTriggerOutput { removed }))
                },
            ),
        ]
    }

    fn list_trigger_types(
        &self,
        input: &TriggerTypeListInput,
        visibility: &Visibility,
    ) -> TriggerTypeListOutput {
        let all = input.include_internal.unwrap_or(false);
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let triggers = self
            .broker
            .trigger_types()
            .iter()
            .filter(|view| all || !view.id.starts_with("engine::"))
            .filter(|view| view.id.starts_with(prefix) && visibility.trigger_type(view))
            .filter(|view| input.worker.as_ref().is_none_or(|worker| *worker == view.worker_name))
            .filter(|view| search_rank(&view.id, Some(&view.description), &search).is_some())
            .map(Into::into)
            .collect();
        TriggerTypeListOutput { triggers }
    }

    fn describe_trigger_type(
        &self,
        input: &TriggerTypeInfoInput,
        visibility: &Visibility,
    ) -> Result<TriggerTypeDetail, ErrorBody> {
        let namespace = input.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        self.trigger_type(&input.id, namespace, visibility).ok_or_else(|| {
            let id = &input.id;
            not_found(format!(
                "the trigger type `{id}` is not registered in the namespace `{namespace}`"
            ))
        })
    }

    fn trigger_type(
        &self,
        id: &str,
        namespace: &str,
        visibility: &Visibility,
    ) -> Option<TriggerTypeDetail> {
        let types = self.broker.trigger_types();
        let mut matching = types.iter().filter(|view| view.id == id && view.namespace == namespace);
        matching.find(|view| visibility.trigger_type(view)).map(Into::into)
    }

    fn list_triggers(
        &self,
        input: &TriggerListInput,
        visibility: &Visibility,
    ) -> TriggerListOutput {
        let all = input.include_internal.unwrap_or(false);
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let matches = |filter: &Option<String>, value: &str| {
            filter.as_deref().is_none_or(|filter| filter == value)
        };
        let workers = self.broker.workers();
        let registered_triggers = self
            .all_triggers(input.include_parked.unwrap_or(false))
            .into_iter()
            .filter(|(binding, _)| all || !binding.function_id.starts_with("engine::"))
            .filter(|(binding, _)| matches(&input.trigger_type, &binding.trigger_type))
            .filter(|(binding, _)| matches(&input.function_id, &binding.function_id))
            .filter(|(binding, _)| visibility.binding(binding))
            .filter(|(binding, _)| {
                let Binding { id, trigger_type, function_id, .. } = &**binding;
                let fields = [id.as_str(), trigger_type.as_str(), function_id.as_str()];
                fields.iter().any(|field| field.to_lowercase().contains(&search))
            })
            .map(|(binding, parked)| TriggerSummary {
                parked,
                ..TriggerSummary::new(&binding, &workers, visibility)
            })
            .filter(|summary| matches(&input.worker, &summary.worker_name))
            .collect();
        TriggerListOutput { registered_triggers }
    }

    /// Returns all triggers, ordered by id. Parked triggers, if requested, have their reason.
    fn all_triggers(&self, include_parked: bool) -> Vec<(Arc<Binding>, Option<ParkedReason>)> {
        let bound = self.broker.bindings().into_iter();
        let mut all: Vec<_> = bound.map(|binding| (binding, None)).collect();
        if include_parked {
            let parked = self.broker.parked().into_iter();
            all.extend(parked.map(|(binding, error)| (binding, Some(ParkedReason::from(error)))));
            all.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        }
        all
    }

    fn describe_trigger(
        &self,
        input: &TriggerInfoInput,
        visibility: &Visibility,
    ) -> Result<TriggerDetail, ErrorBody> {
        let is_requested = |binding: &Binding| {
            visibility.local_trigger_id(&binding.id) == input.id.as_str()
                && visibility.binding(binding)
        };
        let (binding, parked) = self
            .all_triggers(true)
            .into_iter()
            .find(|(binding, _)| is_requested(binding))
            .ok_or_else(|| not_found(format!("the trigger `{}` is not registered", input.id)))?;
        let summary = TriggerSummary::new(&binding, &self.broker.workers(), visibility);
        let provider = self.broker.provider_namespace_of(&binding.id);
        let function =
            self.function(&binding.function_id, Some(&binding.namespace), visibility).ok();
        Ok(TriggerDetail {
            summary: TriggerSummary { config_summary: None, parked, ..summary },
            metadata: binding.metadata.clone(),
            trigger: provider.and_then(|namespace| {
                self.trigger_type(&binding.trigger_type, &namespace, visibility)
            }),
            function: function.map(|view| FunctionDetail::new(&self.broker, &view, visibility)),
        })
    }

    /// Registers a trigger. A trigger of a restricted caller is authorized like its messages, is owned by the caller and is
    /// removed with its connection.
    async fn register_trigger(
        &self,
        input: RegisterTriggerInput,
        caller: Option<WorkerId>,
    ) -> Result<RegisterTriggerOutput, ErrorBody> {
        for namespace in [&input.namespace, &input.trigger_namespace].into_iter().flatten() {
            if namespace.trim().is_empty() {
                return Err(ErrorBody::new(
                    code::INVALID_NAMESPACE,
                    "a namespace must not be blank",
                ));
            }
        }
        let mut m = RegisterTrigger {
            id: Uuid::new_v4().to_string().into(),
            trigger_type: input.trigger_type.into(),
            function_id: input.function_id.into(),
            config: input.config,
            metadata: input.metadata,
            namespace: input.namespace.map(Into::into),
            trigger_namespace: input.trigger_namespace.map(Into::into),
        };
        let policy = caller.and_then(|caller| self.broker.policy_of(caller));
        let owner = caller.filter(|_| policy.is_some());
        if let Some(policy) = policy {
            m = policy.check_trigger(m).await?;
        }
        let binding = Arc::new(Binding {
            id: m.id,
            trigger_type: m.trigger_type,
            function_id: m.function_id,
            namespace: m.namespace.unwrap_or_default(),
            config: m.config,
            metadata: m.metadata,
            home: Namespace::default(),
            provider_namespace: m.trigger_namespace,
            owner,
        });
        match self.broker.bind_and_wait(binding.clone()).await {
            Ok(()) => Ok(RegisterTriggerOutput { id: binding.id.to_string() }),
            Err(error) => {
                // The caller does not know the id, so nobody else would remove the trigger.
                self.broker.unregister_trigger(owner, &binding.id);
                Err(error)
            }
        }
    }
}
