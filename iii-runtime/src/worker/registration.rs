//! What a worker registers, in the order of the wire, and how it finds out that the engine has taken it.

use std::collections::{HashMap, HashSet};
#[cfg(feature = "testing")]
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::extract::TriggerEnvelope;
use crate::function::Location;
use crate::trigger::Binding;
use iii_wire::protocol::{
    ErrorBody, FunctionId, HttpInvocation, Message, Namespace, Payload, RegisterFunction,
    RegisterService, RegisterTrigger, RegisterTriggerType, RegistrationRejected, TriggerId,
    TriggerRegistrationResult,
};

/// How the worker introduces itself ([protocol 3.2](crate::protocol#s3-2)).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Identity {
    pub runtime: &'static str,
    pub version: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub os: String,
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    pub namespace: Namespace,
}

impl Identity {
    pub(crate) fn new(
        name: String,
        version: String,
        isolation: Option<String>,
        namespace: Namespace,
    ) -> Self {
        Self {
            runtime: "rust",
            version,
            name,
            description: None,
            os: format!("{} ({})", std::env::consts::OS, std::env::consts::ARCH),
            pid: std::process::id(),
            isolation,
            namespace,
        }
    }

    pub(super) fn payload(&self) -> Payload {
        Payload::new(self).unwrap_or_default()
    }
}

/// Everything a worker registers; sent again, unchanged, after each reconnect.
#[derive(Debug)]
pub(crate) struct Registrations {
    types: Vec<(RegisterTriggerType, Location)>,
    services: Vec<RegisterService>,
    functions: Vec<(RegisterFunction, Location)>,
    triggers: Vec<(RegisterTrigger, Location)>,
    /// Functions that the worker can do without, should the engine refuse them or their triggers.
    spare: Vec<FunctionId>,
    /// Those that the worker serves itself in place of their endpoints.
    #[cfg(feature = "testing")]
    mocked: Mutex<HashSet<FunctionId>>,
}

/// How the triggers of a worker are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TriggerIds {
    /// No two processes share one.
    Random,
    /// `function#1`, `function#2`, …: the same in each run.
    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    Steady,
}

impl Registrations {
    pub(crate) fn new(catalogue: &Catalogue, namespace: &Namespace, ids: TriggerIds) -> Self {
        let mut functions = Vec::new();
        let mut triggers = Vec::new();
        for entry in catalogue.entries() {
            let function = entry.function;
            let register = RegisterFunction {
                id: function.id.into(),
                description: function.description.map(str::to_owned),
                request_format: entry.input_schema.clone(),
                response_format: entry.output_schema.clone(),
                metadata: function.metadata.map(|metadata| metadata()),
                invocation: entry
                    .endpoint
                    .as_ref()
                    .map(|endpoint| HttpInvocation(endpoint.invocation.clone())),
            };
            functions.push((register, function.location));
            for (number, (binding, location)) in entry.triggers.iter().enumerate() {
                let id = TriggerId::from(match ids {
                    TriggerIds::Random => uuid::Uuid::new_v4().to_string(),
                    TriggerIds::Steady => format!("{}#{}", function.id, number + 1),
                });
                let register = RegisterTrigger {
                    metadata: Some(TriggerEnvelope::encode(
                        &binding.kind,
                        &id,
                        binding.metadata.as_ref(),
                    )),
                    id,
                    trigger_type: binding.kind.as_str().into(),
                    function_id: function.id.into(),
                    config: binding.config.clone(),
                    namespace: Some(namespace.clone()),
                    trigger_namespace: None,
                };
                triggers.push((register, *location));
            }
        }
        let types = catalogue.trigger_types().iter().map(|one| {
            let register = RegisterTriggerType {
                id: one.id.into(),
                description: one.description.to_owned(),
                trigger_request_format: Some((one.config_schema)()),
                call_request_format: Some((one.event_schema)()),
                namespace: None,
            };
            (register, one.location)
        });
        let services = catalogue.services().iter().map(|service| service.registration());
        Self {
            types: types.collect(),
            services: services.collect(),
            functions,
            triggers,
            #[cfg(feature = "testing")]
            mocked: Mutex::default(),
            spare: Vec::new(),
        }
    }

    /// Adds a function that the worker itself needs, with its triggers. An engine that refuses it is no reason to stop.
    pub(crate) fn add_spare(
        &mut self,
        id: FunctionId,
        description: &str,
        bindings: impl Iterator<Item = (Binding, Location)>,
        namespace: &Namespace,
    ) {
        let mut place = None;
        for (number, (binding, location)) in bindings.enumerate() {
            place = place.or(Some(location));
            let trigger_id = TriggerId::from(format!("{id}#{}", number + 1));
            let register = RegisterTrigger {
                metadata: Some(TriggerEnvelope::encode(&binding.kind, &trigger_id, None)),
                id: trigger_id,
                trigger_type: binding.kind.as_str().into(),
                function_id: id.clone(),
                config: binding.config,
                namespace: Some(namespace.clone()),
                trigger_namespace: None,
            };
            self.triggers.push((register, location));
        }
        let Some(place) = place else { return };
        let register = RegisterFunction {
            id: id.clone(),
            description: Some(description.to_owned()),
            request_format: None,
            response_format: None,
            // Lists leave it out (protocol.md#s2-3).
            metadata: Some(Payload::from_built(r#"{"internal":true}"#.to_owned())),
            invocation: None,
        };
        self.functions.push((register, place));
        self.spare.push(id);
    }

    /// Lets the worker serve a function in place of its endpoint. The message that says so over a link that is there;
    /// `None` if no endpoint serves it.
    #[cfg(feature = "testing")]
    pub(crate) fn mock(&self, id: &FunctionId) -> Option<Message> {
        let (function, _) = self
            .functions
            .iter()
            .find(|(function, _)| function.id == *id && function.invocation.is_some())?;
        self.mocked.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        Some(self.registration(function))
    }

    /// The message that registers a function.
    fn registration(&self, function: &RegisterFunction) -> Message {
        #[allow(unused_mut)]
        let mut function = function.clone();
        #[cfg(feature = "testing")]
        if function.invocation.is_some()
            && self.mocked.lock().unwrap_or_else(PoisonError::into_inner).contains(&function.id)
        {
            function.invocation = None;
        }
        Message::RegisterFunction(Box::new(function))
    }

    /// The messages that register everything but triggers: trigger types first, then services.
    pub(super) fn register(&self) -> impl Iterator<Item = Message> {
        let types =
            self.types.iter().map(|(t, _)| Message::RegisterTriggerType(Box::new(t.clone())));
        let functions = self.functions.iter().map(|(function, _)| self.registration(function));
        let services =
            self.services.iter().map(|one| Message::RegisterService(Box::new(one.clone())));
        types.chain(services).chain(functions)
    }

    /// The messages that register the triggers of some functions. They come after the functions that they fire.
    pub(super) fn register_triggers(
        &self,
        of: impl Fn(&FunctionId) -> bool,
    ) -> impl Iterator<Item = Message> {
        let triggers = self.triggers.iter().filter(move |(trigger, _)| of(&trigger.function_id));
        triggers.map(|(trigger, _)| Message::RegisterTrigger(Box::new(trigger.clone())))
    }

    /// The messages that take the triggers of a function back.
    pub(super) fn unregister_triggers(&self, of: &FunctionId) -> impl Iterator<Item = Message> {
        let triggers = self.triggers.iter().filter(move |(trigger, _)| trigger.function_id == *of);
        triggers.map(|(trigger, _)| Message::UnregisterTrigger {
            id: trigger.id.clone(),
            trigger_type: Some(trigger.trigger_type.clone()),
        })
    }

    /// The messages that register some functions once more.
    pub(super) fn again(&self, ids: &[FunctionId]) -> impl Iterator<Item = Message> {
        let functions =
            self.functions.iter().filter(move |(function, _)| ids.contains(&function.id));
        functions.map(|(function, _)| self.registration(function))
    }

    /// What the engine says of a function or a trigger type, with its declaration.
    pub(super) fn refused_function(&self, rejected: &RegistrationRejected) -> Refusal {
        let id: &str = rejected.function_id.as_deref().unwrap_or_default();
        if let Some((_, location)) = self.types.iter().find(|(one, _)| one.id == *id) {
            // There is no message of its own for a type.
            let text = format!("the engine refused the trigger type `{id}`: {}", rejected.code);
            return Refusal { text, location: Some(*location), taken: false };
        }
        let declared = self.functions.iter().find(|(function, _)| function.id == *id);
        let text = match &rejected.error {
            Some(error) => format!("the function `{id}` was refused: {error}"),
            None => format!(
                "the function `{id}` belongs to another worker in namespace `{}`",
                rejected.namespace
            ),
        };
        Refusal { text, location: declared.map(|(_, location)| *location), taken: true }
    }

    /// What the engine says of a trigger, with its declaration.
    pub(super) fn refused_trigger(&self, id: &TriggerId, error: &ErrorBody) -> Option<Refusal> {
        let (trigger, location) = self.triggers.iter().find(|(trigger, _)| trigger.id == *id)?;
        let text = format!("{} was refused: {error}", name_of(trigger));
        Some(Refusal { text, location: Some(*location), taken: false })
    }

    /// The messages that take everything back, triggers first: what fires must still find its function.
    pub(super) fn unregister(&self) -> impl Iterator<Item = Message> {
        let triggers = self.triggers.iter().map(|(trigger, _)| Message::UnregisterTrigger {
            id: trigger.id.clone(),
            trigger_type: Some(trigger.trigger_type.clone()),
        });
        let functions = self
            .functions
            .iter()
            .map(|(function, _)| Message::UnregisterFunction { id: function.id.clone() });
        let types =
            self.types.iter().map(|(one, _)| Message::UnregisterTriggerType { id: one.id.clone() });
        types.chain(triggers).chain(functions)
    }

    /// The questions that show which functions the engine has, with their ids: so many at a time as it allows.
    pub(super) fn function_queries(
        &self,
        namespace: &Namespace,
    ) -> Vec<(Vec<FunctionId>, Payload)> {
        #[derive(Serialize)]
        struct Query<'a> {
            function_ids: &'a [FunctionId],
            namespace: &'a Namespace,
        }
        self.functions
            .chunks(32)
            .filter_map(|functions| {
                let ids: Vec<_> =
                    functions.iter().map(|(function, _)| function.id.clone()).collect();
                let query = Payload::new(&Query { function_ids: &ids, namespace }).ok()?;
                Some((ids, query))
            })
            .collect()
    }

    /// Whether there is nothing that the engine could refuse.
    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty() && !self.has_triggers()
    }

    /// Whether there is anything to ask the engine about triggers. With trigger types there is: the answer comes after
    /// all bindings of them.
    pub(super) fn has_triggers(&self) -> bool {
        !self.triggers.is_empty() || !self.types.is_empty()
    }

    /// What has become of the registrations, by the engine's answers and complaints.
    ///
    /// What another worker has, and is waited for, is `lost`.
    pub(super) fn judge(
        &self,
        answers: &Answers,
        complaints: &Complaints,
        lost: impl Fn(&FunctionId) -> bool,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        if let Some(rejected) = &complaints.worker {
            let name = rejected.worker_name.as_deref().unwrap_or_default();
            let text = match &rejected.error {
                Some(error) => format!("the engine refused this worker: {error}"),
                None => format!(
                    "the worker name `{name}` is taken in namespace `{}`: stop the other worker, or set III_WORKER_NAME",
                    rejected.namespace
                ),
            };
            verdict.refused.push(Refusal { text, location: None, taken: false });
        }
        for (one, _) in &self.types {
            if let Some(rejected) = complaints.functions.get(one.id.as_str()) {
                verdict.refused.push(self.refused_function(rejected));
            }
        }
        for (function, location) in &self.functions {
            let location = Some(*location);
            if lost(&function.id) {
                let text = format!(
                    "the function `{}` belongs to another worker, and is taken over when that one leaves",
                    function.id
                );
                verdict.waiting.push(Refusal { text, location, taken: true });
            } else if let Some(rejected) = complaints.functions.get(&function.id) {
                verdict.add(self.spare.contains(&function.id), self.refused_function(rejected));
            } else if let Some(error) = answers.unusable.get(&function.id) {
                let text =
                    format!("the engine cannot call the endpoint of `{}`: {error}", function.id);
                verdict.refused.push(Refusal { text, location, taken: false });
            } else if answers.functions.as_ref().is_some_and(|has| !has.contains(&function.id)) {
                let mut text = format!("the engine did not take the function `{}`", function.id);
                if function.invocation.is_some() {
                    // The official engine says why in its log only (protocol.md#s4-8).
                    text.push_str(
                        ", which an HTTP endpoint serves: the engine needs the part `iii-http-functions`, \
                         rules that allow the URL, and the environment variables that `auth` names; its log says more",
                    );
                }
                verdict.add(
                    self.spare.contains(&function.id),
                    Refusal { text, location, taken: false },
                );
            }
        }
        for (trigger, location) in &self.triggers {
            if lost(&trigger.function_id) {
                continue;
            }
            if let Some(error) = complaints.triggers.get(&trigger.id) {
                let spare = self.spare.contains(&trigger.function_id);
                if let Some(refusal) = self.refused_trigger(&trigger.id, error) {
                    verdict.add(spare, refusal);
                }
            } else if answers.triggers.as_ref().is_some_and(|has| !has.contains(&trigger.id)) {
                let text = format!(
                    "{} waits: no one provides the trigger type `{}` yet",
                    name_of(trigger),
                    trigger.trigger_type
                );
                verdict.waiting.push(Refusal { text, location: Some(*location), taken: false });
            }
        }
        verdict
    }
}

/// A trigger, for people.
fn name_of(trigger: &RegisterTrigger) -> String {
    format!("the `{}` trigger of `{}`", trigger.trigger_type, trigger.function_id)
}

/// What the engine says it has; `None` where it does not say.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub functions: Option<HashSet<FunctionId>>,
    pub triggers: Option<HashSet<TriggerId>>,
    /// Functions that it has, but whose endpoints it cannot call. Engines of this project say so.
    pub unusable: HashMap<FunctionId, ErrorBody>,
}

impl Answers {
    /// Reads an answer to one of [`Registrations::function_queries`], which was about these ids.
    ///
    /// What is there may have become another id, by the engine's access rules; and what an engine does not let us see
    /// may be there. Only what it says it does not have is missing.
    pub(super) fn read_functions(&mut self, asked: &[FunctionId], answer: &Payload) {
        #[derive(Deserialize)]
        struct Info {
            functions: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            function_id: FunctionId,
            #[serde(default)]
            error: Option<String>,
            #[serde(default)]
            unusable: Option<ErrorBody>,
        }
        let Ok(info) = answer.parse::<Info>() else { return };
        let missing = |id: &FunctionId| {
            let mut failed = info.functions.iter().filter(|one| one.error.is_some());
            failed.any(|one| one.function_id == *id && one.error.as_deref() != Some("forbidden"))
        };
        let found = asked.iter().filter(|id| !missing(id)).cloned();
        self.functions.get_or_insert_default().extend(found);
        let unusable = info.functions.iter().filter_map(|one| {
            let id = asked.iter().find(|id| **id == one.function_id)?;
            Some((id.clone(), one.unusable.clone()?))
        });
        self.unusable.extend(unusable);
    }

    /// Reads the answer of `engine::registered-triggers::list`.
    pub(super) fn read_triggers(&mut self, answer: &Payload) {
        #[derive(Deserialize)]
        struct List {
            registered_triggers: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            id: TriggerId,
        }
        let Ok(list) = answer.parse::<List>() else { return };
        self.triggers = Some(list.registered_triggers.into_iter().map(|one| one.id).collect());
    }
}

/// What the engine has complained about since the link is there.
#[derive(Debug, Default, Clone)]
pub(super) struct Complaints {
    pub worker: Option<RegistrationRejected>,
    pub functions: HashMap<FunctionId, RegistrationRejected>,
    pub triggers: HashMap<TriggerId, ErrorBody>,
}

impl Complaints {
    pub(super) fn rejected(&mut self, rejected: RegistrationRejected) {
        match &rejected.function_id {
            Some(id) => drop(self.functions.insert(id.clone(), rejected)),
            None => self.worker = Some(rejected),
        }
    }

    pub(super) fn trigger(&mut self, result: TriggerRegistrationResult) {
        if let Some(error) = result.error {
            self.triggers.insert(result.id, error);
        }
    }
}

/// Something that the engine refused, or that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub text: String,
    pub location: Option<Location>,
    /// Whether it is a function that the worker does not serve now, as another one has it or the engine does not let it.
    pub taken: bool,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.location {
            Some(location) => write!(f, "{}\n   at {location}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What has become of the registrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub refused: Vec<Refusal>,
    pub waiting: Vec<Refusal>,
}

impl Verdict {
    /// Notes that something was refused. What the worker can do without is only told.
    fn add(&mut self, spare: bool, refusal: Refusal) {
        if spare { self.waiting.push(refusal) } else { self.refused.push(refusal) }
    }
}
