//! One connection's session: what it was granted when it was let in, and the decisions that follow (protocol sections 9.2
//! to 9.4).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::auth::Rules;
use crate::broker::{Broker, Detour, Gate, Request, forbidden};
use crate::wildcard::WildcardPattern;
use iii_wire::protocol::{
    Action, DEFAULT_NAMESPACE, ErrorBody, FunctionId, Namespace, Payload, RegisterFunction,
    RegisterTrigger, RegisterTriggerType, TriggerTypeId,
};

/// Functions that every worker needs; all in `default`.
const ALWAYS: [&str; 10] = [
    "engine::channels::create",
    "engine::workers::register",
    "engine::log::info",
    "engine::log::warn",
    "engine::log::error",
    "engine::log::debug",
    "engine::log::trace",
    "engine::baggage::get",
    "engine::baggage::set",
    "engine::baggage::get_all",
];

/// What an auth function gives. Whatever is absent or null has its default.
#[derive(Default, Deserialize)]
struct Given {
    namespaces: Option<BTreeMap<Namespace, Vec<String>>>,
    allowed_functions: Option<HashSet<FunctionId>>,
    forbidden_functions: Option<HashSet<FunctionId>>,
    allowed_trigger_types: Option<HashSet<TriggerTypeId>>,
    allow_trigger_type_registration: Option<bool>,
    allow_function_registration: Option<bool>,
    context: Option<Payload>,
    function_registration_prefix: Option<String>,
    /// A name that is misspelt would grant more than was meant.
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// What a connection was granted.
#[derive(Debug)]
pub(super) struct Grants {
    /// The functions that may be called in each namespace. Unless it is empty, the worker must be in one of them.
    namespaces: BTreeMap<Namespace, Vec<WildcardPattern>>,
    allowed: HashSet<FunctionId>,
    forbidden: HashSet<FunctionId>,
    /// `None`: all.
    trigger_types: Option<HashSet<TriggerTypeId>>,
    registers_types: bool,
    registers_functions: bool,
    /// Handed to hooks and middleware.
    pub(super) context: Payload,
    /// Put before each function that it registers.
    prefix: Option<String>,
}

impl Grants {
    /// Those of a connection about which no auth function was asked.
    pub(super) fn unasked() -> Self {
        Self { registers_types: true, ..Self::of(Given::default()) }
    }

    /// Those that an auth function gave.
    ///
    /// # Errors
    ///
    /// What is wrong with its answer.
    pub(super) fn read(answer: &Payload) -> Result<Self, String> {
        if !answer.is_object() {
            return Err("its answer is no object".to_owned());
        }
        let given: Given = answer.parse().map_err(|error| format!("its answer: {error}"))?;
        if !given.unknown.is_empty() {
            let names: Vec<&str> = given.unknown.keys().map(String::as_str).collect();
            tracing::warn!("an auth function gave fields that mean nothing: {}", names.join(", "));
        }
        Ok(Self::of(given))
    }

    fn of(given: Given) -> Self {
        let glob = |text: String| {
            WildcardPattern::parse_match(&text).unwrap_or_else(|| WildcardPattern::new(text))
        };
        let globs = |texts: Vec<String>| texts.into_iter().map(glob).collect();
        let namespaces = given.namespaces.unwrap_or_default();
        let prefix = given.function_registration_prefix;
        Self {
            namespaces: namespaces.into_iter().map(|(name, texts)| (name, globs(texts))).collect(),
            allowed: given.allowed_functions.unwrap_or_default(),
            forbidden: given.forbidden_functions.unwrap_or_default(),
            trigger_types: given.allowed_trigger_types,
            registers_types: given.allow_trigger_type_registration.unwrap_or(false),
            registers_functions: given.allow_function_registration.unwrap_or(true),
            context: given.context.unwrap_or_else(|| Payload::from_built("{}".to_owned())),
            prefix: prefix.filter(|prefix| !prefix.trim().is_empty()),
        }
    }
}

/// The gate of one connection.
pub(super) struct Session {
    pub(super) broker: Broker,
    pub(super) rules: Arc<Rules>,
    pub(super) grants: Grants,
}

/// The functions that a binding reaches besides its target, by the names that the built-in types have for them.
#[derive(Default, Deserialize)]
struct Reached {
    condition_function_id: Option<serde_json::Value>,
    middleware_function_ids: Option<serde_json::Value>,
}

impl Session {
    /// The id under which a function is registered.
    fn prefixed(&self, id: FunctionId) -> FunctionId {
        match &self.grants.prefix {
            Some(prefix) => format!("{prefix}::{id}").into(),
            None => id,
        }
    }

    /// Whether all that a binding reaches may be called: its target, its condition, its middleware.
    fn check_binding(&self, m: &RegisterTrigger) -> Result<(), ErrorBody> {
        if !self.binds(&m.trigger_type) {
            let kind = &m.trigger_type;
            return Err(forbidden(format!(
                "triggers of the type `{kind}` may not be bound here: add it to `allowed_trigger_types`"
            )));
        }
        let namespace = m.namespace.clone().unwrap_or_default();
        self.check_target(&namespace, &m.function_id)?;
        if !m.config.is_object() {
            return Ok(());
        }
        let reached: Reached = m.config.parse().map_err(|error| {
            forbidden(format!("it cannot be seen which functions the trigger reaches: {error}"))
        })?;
        let listed = match reached.middleware_function_ids {
            Some(serde_json::Value::Array(list)) => list,
            other => other.into_iter().collect(),
        };
        for id in reached.condition_function_id.into_iter().chain(listed) {
            // Other types may mean something else by the name; the built-in ones refuse what is no text.
            if let Some(id) = id.as_str().filter(|id| !id.is_empty()) {
                self.check_target(&namespace, &FunctionId::from(id))?;
            }
        }
        Ok(())
    }

    fn check_target(&self, namespace: &Namespace, id: &FunctionId) -> Result<(), ErrorBody> {
        let reached = self.broker.reached(namespace, id);
        let (place, metadata) = match &reached {
            Some((place, metadata)) => (place, metadata.as_ref()),
            None => (namespace, None),
        };
        self.calls(place, id, metadata).map_err(|error| {
            forbidden(format!("in the namespace `{namespace}`, {}", error.message))
        })
    }

    /// Decides over a function.
    async fn decide_function(
        &self,
        mut m: RegisterFunction,
        home: &Namespace,
    ) -> Result<RegisterFunction, ErrorBody> {
        if !self.grants.registers_functions {
            return Err(forbidden("this connection may not register functions"));
        }
        if let Some(hook) = self.rules.hook(|access| &access.on_function) {
            hook.function(self, &mut m, home).await?;
        }
        m.id = self.prefixed(m.id);
        Ok(m)
    }

    /// Decides over a binding.
    async fn decide_binding(&self, mut m: RegisterTrigger) -> Result<RegisterTrigger, ErrorBody> {
        if let Some(hook) = self.rules.hook(|access| &access.on_trigger) {
            hook.trigger(self, &mut m).await?;
        }
        m.function_id = self.prefixed(m.function_id);
        self.check_binding(&m)?;
        Ok(m)
    }

    /// Decides over a trigger type.
    async fn decide_type(
        &self,
        mut m: RegisterTriggerType,
    ) -> Result<RegisterTriggerType, ErrorBody> {
        if !self.grants.registers_types {
            return Err(forbidden(
                "this connection may not register trigger types: set `allow_trigger_type_registration`",
            ));
        }
        if let Some(namespace) = &m.namespace {
            self.enters(namespace)?;
        }
        if let Some(hook) = self.rules.hook(|access| &access.on_trigger_type) {
            hook.trigger_type(self, &mut m).await?;
        }
        Ok(m)
    }
}

impl Gate for Session {
    fn enters(&self, namespace: &Namespace) -> Result<(), ErrorBody> {
        let granted = &self.grants.namespaces;
        if granted.is_empty() || granted.contains_key(namespace) {
            return Ok(());
        }
        let names: Vec<&str> = granted.keys().map(Namespace::as_str).collect();
        Err(forbidden(format!(
            "this connection may not be in the namespace `{namespace}`: it may be in `{}`",
            names.join("`, `")
        )))
    }

    fn calls(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> Result<(), ErrorBody> {
        let grants = &self.grants;
        if grants.forbidden.contains(id) {
            return Err(forbidden(format!(
                "the function `{id}` is not allowed: remove it from `forbidden_functions`"
            )));
        }
        let of_namespace = grants.namespaces.get(namespace);
        if of_namespace.is_some_and(|globs| globs.iter().any(|glob| glob.matches(id))) {
            return Ok(());
        }
        let in_default = *namespace == DEFAULT_NAMESPACE;
        if in_default && (grants.allowed.contains(id) || ALWAYS.contains(&id.as_str())) {
            return Ok(());
        }
        // A listener that has only middleware allows everything.
        let Some(access) = &self.rules.access else { return Ok(()) };
        if access.exposed.iter().any(|filter| filter.exposes(namespace, id, metadata)) {
            return Ok(());
        }
        Err(forbidden(format!(
            "the function `{id}` is not allowed: add it to `rbac.expose_functions`"
        )))
    }

    fn detour(&self, call: &Request, action: Option<&Action>) -> Option<Detour> {
        let middleware = self.rules.middleware.as_ref()?;
        Some(middleware.detour(call, action, &self.grants.context))
    }

    fn function(
        self: Arc<Self>,
        function: RegisterFunction,
        home: Namespace,
    ) -> BoxFuture<'static, Result<RegisterFunction, ErrorBody>> {
        async move { self.decide_function(function, &home).await }.boxed()
    }

    fn binding(
        self: Arc<Self>,
        binding: RegisterTrigger,
    ) -> BoxFuture<'static, Result<RegisterTrigger, ErrorBody>> {
        async move { self.decide_binding(binding).await }.boxed()
    }

    fn trigger_type(
        self: Arc<Self>,
        one: RegisterTriggerType,
    ) -> BoxFuture<'static, Result<RegisterTriggerType, ErrorBody>> {
        async move { self.decide_type(one).await }.boxed()
    }

    fn binds(&self, trigger_type: &TriggerTypeId) -> bool {
        self.grants.trigger_types.as_ref().is_none_or(|types| types.contains(trigger_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, FunctionFilter};
    use crate::broker::testing::{broker, json};

    fn session(access: Option<Access>, grants: Grants) -> Session {
        Session { broker: broker(), rules: Arc::new(Rules { access, middleware: None }), grants }
    }

    fn granted(answer: &str) -> Session {
        let access = Access::new().expose(FunctionFilter::matching("api::*"));
        session(Some(access), Grants::read(&json(answer)).unwrap())
    }

    fn calls(session: &Session, namespace: &str, id: &str) -> bool {
        session.calls(&namespace.into(), &id.into(), None).is_ok()
    }

    #[test]
    fn calls_are_checked_in_the_order_of_the_protocol() {
        let one = granted(
            r#"{"namespaces":{"shop":["orders::*","match('list-*')","exact"]},
                "allowed_functions":["admin::ok","both"],"forbidden_functions":["api::secret","both","engine::log::info"]}"#,
        );
        for (namespace, id) in [
            ("shop", "orders::a"),
            ("shop", "list-all"),
            ("shop", "exact"),
            ("default", "admin::ok"),
            ("default", "api::x"),
            ("default", "engine::channels::create"),
            ("default", "engine::log::warn"),
        ] {
            assert!(calls(&one, namespace, id), "{namespace} {id}");
        }
        for (namespace, id) in [
            ("default", "api::secret"),
            ("shop", "api::secret"),
            ("default", "both"),
            ("default", "engine::log::info"),
            ("default", "orders::a"),
            ("shop", "admin::ok"),
            ("shop", "api::x"),
            ("shop", "exactly"),
            ("default", "engine::functions::list"),
            ("default", "state::get"),
        ] {
            assert!(!calls(&one, namespace, id), "{namespace} {id}");
        }
        let forbidden = one.calls(&"default".into(), &"both".into(), None).unwrap_err();
        assert_eq!(forbidden.code, "FORBIDDEN");
        assert!(forbidden.message.contains("forbidden_functions"));
        let hidden = one.calls(&"default".into(), &"state::get".into(), None).unwrap_err();
        assert!(hidden.message.contains("rbac.expose_functions"));
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        let open = session(None, Grants::unasked());
        assert!(calls(&open, "shop", "anything") && open.binds(&"cron".into()));
        assert!(open.enters(&"shop".into()).is_ok() && open.grants.registers_types);
    }

    #[test]
    fn what_is_absent_or_null_has_its_default() {
        for answer in [
            "{}",
            r#"{"namespaces":null,"allowed_functions":null,"forbidden_functions":null,"context":null,
                "allowed_trigger_types":null,"allow_trigger_type_registration":null,
                "allow_function_registration":null,"function_registration_prefix":null}"#,
            r#"{"function_registration_prefix":" ","user":"ann"}"#,
        ] {
            let grants = Grants::read(&json(answer)).unwrap();
            assert!(grants.namespaces.is_empty() && grants.trigger_types.is_none());
            assert!(grants.registers_functions && !grants.registers_types);
            assert_eq!((grants.context.as_str(), &grants.prefix), ("{}", &None));
        }
    }

    #[test]
    fn another_shape_grants_nothing() {
        for answer in [
            "null",
            "true",
            "[]",
            r#"{"allowed_functions":"all"}"#,
            r#"{"namespaces":["shop"]}"#,
            r#"{"allow_function_registration":"no"}"#,
            r#"{"forbidden_functions":["a"],"forbidden_functions":[]}"#,
        ] {
            assert!(Grants::read(&json(answer)).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_namespace_that_was_not_granted_is_named_with_those_that_were() {
        let one = granted(r#"{"namespaces":{"shop":[],"blog":["*"]}}"#);
        assert!(one.enters(&"blog".into()).is_ok());
        let error = one.enters(&"default".into()).unwrap_err();
        assert!(error.message.contains("`blog`, `shop`"), "{error}");
    }
}
