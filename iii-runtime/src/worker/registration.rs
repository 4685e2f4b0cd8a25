//! What a worker registers, in the order of the wire, and how it finds out that the engine has taken it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::declare::{Catalogue, Location};
use crate::extract::Mark;
use crate::protocol::{
    ErrorBody, FunctionId, Message, Namespace, Payload, RegisterFunction, RegisterTrigger,
    RegisterTriggerType, RegistrationRejected, TriggerId, TriggerRegistrationResult,
};
use crate::trigger::Binding;

/// How the worker introduces itself (protocol section 3.2).
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
    functions: Vec<(RegisterFunction, Location)>,
    triggers: Vec<(RegisterTrigger, Location)>,
    /// Functions that the worker can do without, should the engine refuse them or their triggers.
    spare: Vec<FunctionId>,
    /// Those that came after the start; nobody waits for their confirmation.
    later: Mutex<Vec<FunctionId>>,
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
                invocation: None,
            };
            functions.push((register, function.location));
            for (number, (binding, location)) in entry.triggers.iter().enumerate() {
                let id = TriggerId::from(match ids {
                    TriggerIds::Random => uuid::Uuid::new_v4().to_string(),
                    TriggerIds::Steady => format!("{}#{}", function.id, number + 1),
                });
                let register = RegisterTrigger {
                    metadata: Some(Mark::write(&binding.kind, &id, binding.metadata.as_ref())),
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
        Self {
            types: types.collect(),
            functions,
            triggers,
            spare: Vec::new(),
            later: Mutex::default(),
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
                metadata: Some(Mark::write(&binding.kind, &trigger_id, None)),
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
            // Lists leave it out (protocol section 2.3).
            metadata: Some(Payload::from_built(r#"{"internal":true}"#.to_owned())),
            invocation: None,
        };
        self.functions.push((register, place));
        self.spare.push(id);
    }

    /// Adds a function that the catalogue does not have. The message that registers it over a link that is there.
    #[cfg(feature = "testing")]
    pub(crate) fn add(&self, id: &FunctionId) -> Message {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        if !later.contains(id) {
            later.push(id.clone());
        }
        bare(id.clone())
    }

    /// The messages that register everything: trigger types first, and functions before what fires them.
    pub(super) fn register(&self) -> impl Iterator<Item = Message> {
        let types =
            self.types.iter().map(|(t, _)| Message::RegisterTriggerType(Box::new(t.clone())));
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let functions = self
            .functions
            .iter()
            .map(|(f, _)| Message::RegisterFunction(Box::new(f.clone())))
            .chain(later.into_iter().map(bare));
        let triggers =
            self.triggers.iter().map(|(t, _)| Message::RegisterTrigger(Box::new(t.clone())));
        types.chain(functions).chain(triggers)
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

    /// Whether there is anything to ask the engine about triggers. With trigger types there is: the answer comes after
    /// all bindings of them.
    pub(super) fn has_triggers(&self) -> bool {
        !self.triggers.is_empty() || !self.types.is_empty()
    }

    /// What has become of the registrations, by the engine's answers and complaints.
    pub(super) fn judge(&self, answers: &Answers, complaints: &Complaints) -> Verdict {
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
            verdict.refused.push(Refusal { text, location: None });
        }
        for (one, location) in &self.types {
            // There is no message of its own for a type.
            if let Some(rejected) = complaints.functions.get(one.id.as_str()) {
                let text =
                    format!("the engine refused the trigger type `{}`: {}", one.id, rejected.code);
                verdict.refused.push(Refusal { text, location: Some(*location) });
            }
        }
        for (function, location) in &self.functions {
            let text = if let Some(rejected) = complaints.functions.get(&function.id) {
                match &rejected.error {
                    Some(error) => format!("the function `{}` was refused: {error}", function.id),
                    None => format!(
                        "the function `{}` belongs to another worker in namespace `{}`",
                        function.id, rejected.namespace
                    ),
                }
            } else if answers.functions.as_ref().is_some_and(|has| !has.contains(&function.id)) {
                format!("the engine did not take the function `{}`", function.id)
            } else {
                continue;
            };
            verdict.add(self.spare.contains(&function.id), text, *location);
        }
        for (trigger, location) in &self.triggers {
            let what =
                format!("the `{}` trigger of `{}`", trigger.trigger_type, trigger.function_id);
            if let Some(error) = complaints.triggers.get(&trigger.id) {
                let text = format!("{what} was refused: {error}");
                verdict.add(self.spare.contains(&trigger.function_id), text, *location);
            } else if answers.triggers.as_ref().is_some_and(|has| !has.contains(&trigger.id)) {
                let text = format!(
                    "{what} waits: no one provides the trigger type `{}` yet",
                    trigger.trigger_type
                );
                verdict.waiting.push(Refusal { text, location: Some(*location) });
            }
        }
        verdict
    }
}

/// The registration of a function of which only the id is known.
fn bare(id: FunctionId) -> Message {
    Message::RegisterFunction(Box::new(RegisterFunction {
        id,
        description: None,
        request_format: None,
        response_format: None,
        metadata: None,
        invocation: None,
    }))
}

/// What the engine says it has; `None` where it does not say.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub functions: Option<HashSet<FunctionId>>,
    pub triggers: Option<HashSet<TriggerId>>,
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
        }
        let Ok(info) = answer.parse::<Info>() else { return };
        let missing = |id: &FunctionId| {
            let mut failed = info.functions.iter().filter(|one| one.error.is_some());
            failed.any(|one| one.function_id == *id && one.error.as_deref() != Some("forbidden"))
        };
        let found = asked.iter().filter(|id| !missing(id)).cloned();
        self.functions.get_or_insert_default().extend(found);
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
}

/// What has become of the registrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub refused: Vec<Refusal>,
    pub waiting: Vec<Refusal>,
}

impl Verdict {
    /// Notes that something was refused. What the worker can do without is only told.
    fn add(&mut self, spare: bool, text: String, location: Location) {
        let refusal = Refusal { text, location: Some(location) };
        if spare { self.waiting.push(refusal) } else { self.refused.push(refusal) }
    }
}
