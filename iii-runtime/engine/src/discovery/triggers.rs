//! Trigger types and bindings: lists, details, and bindings that functions make.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::functions::rank;
use super::shapes::{FunctionDetail, Reason, TriggerSummary, TypeDetail, TypeSummary};
use super::{Discovery, missing};
use crate::broker::Eyes;
use crate::provider::{Binding, BuiltIn, Call};
use iii_wire::code;
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, Namespace, Payload, RegisterTrigger, TriggerId, WorkerId,
};

/// The input of `engine::triggers::list`. What is absent matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ListTypes {
    /// A part of the id or of the description.
    search: Option<String>,
    /// The beginning of the id.
    prefix: Option<String>,
    /// The name of the provider.
    worker: Option<String>,
    /// Whether types of the engine itself are listed as well. Default no.
    include_internal: Option<bool>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Types {
    /// The types, in the order of their ids.
    triggers: Vec<TypeSummary>,
}

/// The input of `engine::triggers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct TypeInfo {
    /// The type.
    id: String,
    /// Its namespace. Default `default`.
    namespace: Option<String>,
}

/// The input of `engine::registered-triggers::list`. What is absent matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ListBindings {
    /// A part of the id, of the type or of the function's id.
    search: Option<String>,
    /// The type.
    trigger_type: Option<String>,
    /// The function.
    function_id: Option<String>,
    /// The name of the worker.
    worker: Option<String>,
    /// Whether bindings of the engine's functions are listed as well. Default no.
    include_internal: Option<bool>,
    /// Whether bindings that do not fire are listed as well, because nobody provides their type or its provider refused
    /// them. Default no.
    include_parked: Option<bool>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Bindings {
    /// The bindings, in the order of their ids.
    registered_triggers: Vec<TriggerSummary>,
}

/// The input of `engine::registered-triggers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct BindingInfo {
    /// The binding.
    id: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BindingDetail {
    #[serde(flatten)]
    summary: TriggerSummary,
    /// Handed to the function with each firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
    /// Its type.
    trigger: Option<TypeDetail>,
    /// Its function.
    function: Option<FunctionDetail>,
}

/// The input of `engine::register_trigger`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Register {
    /// The type.
    trigger_type: String,
    /// The function to invoke.
    function_id: String,
    /// What the type needs to know.
    #[serde(default)]
    config: Payload,
    /// Handed to the function with each firing.
    metadata: Option<Payload>,
    /// The namespace of the function. Default `default`.
    namespace: Option<String>,
    /// The namespace of the provider.
    trigger_namespace: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Registered {
    /// The id of the binding.
    id: String,
}

/// The input of `engine::unregister_trigger`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Unregister {
    /// The binding.
    id: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Unregistered {
    /// Whether it was there and could be removed.
    removed: bool,
}

impl Discovery {
    pub(super) fn trigger_functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (add, remove) = (self.clone(), self.clone());
        vec![
            self.view(
                "engine::triggers::list",
                "Lists the trigger types that somebody provides.",
                |this, input, eyes| Ok(this.list_types(input, eyes)),
            ),
            self.view("engine::triggers::info", "Describes a trigger type.", Self::describe_type),
            self.view(
                "engine::registered-triggers::list",
                "Lists the triggers that are bound to functions.",
                |this, input, eyes| Ok(this.list_bindings(input, eyes)),
            ),
            self.view(
                "engine::registered-triggers::info",
                "Describes a trigger that is bound to a function.",
                Self::describe_binding,
            ),
            BuiltIn::typed(
                "engine::register_trigger",
                "Binds a trigger to a function.",
                move |input: Register, call: Call| {
                    let this = add.clone();
                    async move { this.add_binding(input, call.caller).await.map(Some) }
                },
            ),
            BuiltIn::sync(
                "engine::unregister_trigger",
                "Removes a trigger.",
                move |input: Unregister, call: Call| {
                    let id = TriggerId::from(input.id);
                    let removed = remove.broker.unregister_trigger(call.caller, &id);
                    Ok(Some(Unregistered { removed }))
                },
            ),
        ]
    }

    fn list_types(&self, input: &ListTypes, eyes: &Eyes) -> Types {
        let all = input.include_internal.unwrap_or(false);
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let triggers = self
            .broker
            .trigger_types()
            .iter()
            .filter(|view| all || !view.id.starts_with("engine::"))
            .filter(|view| view.id.starts_with(prefix) && eyes.trigger_type(view))
            .filter(|view| input.worker.as_ref().is_none_or(|worker| *worker == view.worker_name))
            .filter(|view| rank(&view.id, Some(&view.description), &search).is_some())
            .map(Into::into)
            .collect();
        Types { triggers }
    }

    fn describe_type(&self, input: &TypeInfo, eyes: &Eyes) -> Result<TypeDetail, ErrorBody> {
        let namespace = input.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        self.trigger_type(&input.id, namespace, eyes).ok_or_else(|| {
            let id = &input.id;
            missing(format!(
                "the trigger type `{id}` is not registered in the namespace `{namespace}`"
            ))
        })
    }

    fn trigger_type(&self, id: &str, namespace: &str, eyes: &Eyes) -> Option<TypeDetail> {
        let types = self.broker.trigger_types();
        let mut its = types.iter().filter(|view| view.id == id && view.namespace == namespace);
        its.find(|view| eyes.trigger_type(view)).map(Into::into)
    }

    fn list_bindings(&self, input: &ListBindings, eyes: &Eyes) -> Bindings {
        let all = input.include_internal.unwrap_or(false);
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|w| w == text);
        let workers = self.broker.workers();
        let registered_triggers = self
            .all_bindings(input.include_parked.unwrap_or(false))
            .into_iter()
            .filter(|(one, _)| all || !one.function_id.starts_with("engine::"))
            .filter(|(one, _)| is(&input.trigger_type, &one.trigger_type))
            .filter(|(one, _)| is(&input.function_id, &one.function_id) && eyes.binding(one))
            .filter(|(one, _)| {
                let fields = [one.id.as_str(), one.trigger_type.as_str(), one.function_id.as_str()];
                fields.iter().any(|field| field.to_lowercase().contains(&search))
            })
            .map(|(one, parked)| TriggerSummary {
                parked,
                ..TriggerSummary::new(&one, &workers, eyes)
            })
            .filter(|one| is(&input.worker, &one.worker_name))
            .collect();
        Bindings { registered_triggers }
    }

    /// The bindings in the order of their ids, if asked for also those that are parked, and why they are.
    fn all_bindings(&self, with_parked: bool) -> Vec<(Arc<Binding>, Option<Reason>)> {
        let mut all: Vec<_> = self.broker.bindings().into_iter().map(|one| (one, None)).collect();
        if with_parked {
            let parked = self.broker.parked().into_iter();
            all.extend(parked.map(|(one, why)| (one, Some(Reason::from(why)))));
            all.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        }
        all
    }

    fn describe_binding(
        &self,
        input: &BindingInfo,
        eyes: &Eyes,
    ) -> Result<BindingDetail, ErrorBody> {
        let (binding, parked) = self
            .all_bindings(true)
            .into_iter()
            .find(|(one, _)| eyes.own_trigger(&one.id) == input.id.as_str() && eyes.binding(one))
            .ok_or_else(|| missing(format!("the trigger `{}` was not found", input.id)))?;
        let summary = TriggerSummary::new(&binding, &self.broker.workers(), eyes);
        let provider = self.broker.provider_namespace_of(&binding.id);
        let function = self.function(&binding.function_id, Some(&binding.namespace), eyes).ok();
        Ok(BindingDetail {
            summary: TriggerSummary { config_summary: None, parked, ..summary },
            metadata: binding.metadata.clone(),
            trigger: provider
                .and_then(|space| self.trigger_type(&binding.trigger_type, &space, eyes)),
            function: function.map(|view| FunctionDetail::new(&self.broker, &view, eyes)),
        })
    }

    /// Binds a trigger. That of a caller with a gate is checked like its messages, and is its own: it goes with it.
    async fn add_binding(
        &self,
        input: Register,
        caller: Option<WorkerId>,
    ) -> Result<Registered, ErrorBody> {
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
        let gate = caller.and_then(|caller| self.broker.gate_of(caller));
        let owner = caller.filter(|_| gate.is_some());
        if let Some(gate) = gate {
            m = gate.binding(m).await?;
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
            Ok(()) => Ok(Registered { id: binding.id.to_string() }),
            Err(error) => {
                // It was never there for its maker, so nobody else would remove it.
                self.broker.unregister_trigger(owner, &binding.id);
                Err(error)
            }
        }
    }
}
