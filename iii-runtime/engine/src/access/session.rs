//! The session of an authenticated connection: its grants, and the authorization of its calls and registrations
//! ([protocol 9.2](iii_wire::protocol#s9-2), [9.4](iii_wire::protocol#s9-4)).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::auth::ListenerRules;
use crate::broker::{ANNOUNCE, Broker, ConnectionPolicy, Redirect, Request, forbidden};
use crate::function_ids;
use crate::wildcard::WildcardPattern;
use iii_wire::protocol::{
    Action, DEFAULT_NAMESPACE, ErrorBody, FunctionId, Namespace, Payload, RegisterFunction,
    RegisterTrigger, RegisterTriggerType, TriggerTypeId,
};

/// Functions in `default` that every worker may call unless they are on its deny list.
const ALWAYS_ALLOWED: [&str; 10] = [
    function_ids::CHANNELS_CREATE,
    ANNOUNCE,
    function_ids::LOG_TRACE,
    function_ids::LOG_DEBUG,
    function_ids::LOG_INFO,
    function_ids::LOG_WARN,
    function_ids::LOG_ERROR,
    function_ids::BAGGAGE_GET,
    function_ids::BAGGAGE_SET,
    function_ids::BAGGAGE_GET_ALL,
];

/// Output of an auth function. Absent and null fields have their defaults.
#[derive(Default, Deserialize)]
struct AuthFunctionOutput {
    namespaces: Option<BTreeMap<Namespace, Vec<String>>>,
    allowed_functions: Option<HashSet<FunctionId>>,
    forbidden_functions: Option<HashSet<FunctionId>>,
    allowed_trigger_types: Option<HashSet<TriggerTypeId>>,
    allow_trigger_type_registration: Option<bool>,
    allow_function_registration: Option<bool>,
    context: Option<Payload>,
    function_registration_prefix: Option<String>,
    /// Reported in the log: a misspelt restriction would grant more than intended.
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Permissions of a connection.
#[derive(Debug)]
pub(super) struct Grants {
    /// Patterns of the functions that may be called in each namespace. Unless it is empty, the worker must be in one of
    /// these namespaces.
    namespaces: BTreeMap<Namespace, Vec<WildcardPattern>>,
    allowed_functions: HashSet<FunctionId>,
    forbidden_functions: HashSet<FunctionId>,
    /// `None` allows all.
    allowed_trigger_types: Option<HashSet<TriggerTypeId>>,
    may_register_trigger_types: bool,
    may_register_functions: bool,
    /// Passed to hooks and middleware.
    pub(super) context: Payload,
    /// Prepended to the id of each function that the connection registers.
    function_prefix: Option<String>,
}

impl Grants {
    /// The grants of a connection to a listener without an auth function.
    pub(super) fn unauthenticated() -> Self {
        Self { may_register_trigger_types: true, ..Self::from(AuthFunctionOutput::default()) }
    }

    /// Parses the result of an auth function.
    ///
    /// # Errors
    ///
    /// The reason why the result is invalid.
    pub(super) fn parse(result: &Payload) -> Result<Self, String> {
        if !result.is_object() {
            return Err("the result is not an object".to_owned());
        }
        let output: AuthFunctionOutput =
            result.parse().map_err(|error| format!("the result is invalid: {error}"))?;
        if !output.unknown.is_empty() {
            let names: Vec<&str> = output.unknown.keys().map(String::as_str).collect();
            tracing::warn!("an auth function returned unknown fields: {}", names.join(", "));
        }
        Ok(Self::from(output))
    }
}

impl From<AuthFunctionOutput> for Grants {
    fn from(output: AuthFunctionOutput) -> Self {
        let pattern = |text: String| {
            WildcardPattern::parse_match(&text).unwrap_or_else(|| WildcardPattern::new(text))
        };
        let patterns = |texts: Vec<String>| texts.into_iter().map(pattern).collect();
        let namespaces = output.namespaces.unwrap_or_default().into_iter();
        let prefix = output.function_registration_prefix;
        Self {
            namespaces: namespaces.map(|(name, texts)| (name, patterns(texts))).collect(),
            allowed_functions: output.allowed_functions.unwrap_or_default(),
            forbidden_functions: output.forbidden_functions.unwrap_or_default(),
            allowed_trigger_types: output.allowed_trigger_types,
            may_register_trigger_types: output.allow_trigger_type_registration.unwrap_or(false),
            may_register_functions: output.allow_function_registration.unwrap_or(true),
            context: output.context.unwrap_or_else(|| Payload::from_built("{}".to_owned())),
            function_prefix: prefix.filter(|prefix| !prefix.trim().is_empty()),
        }
    }
}

/// Authorizes what one connection does, as its [`ConnectionPolicy`].
pub(super) struct Session {
    pub(super) broker: Broker,
    pub(super) rules: Arc<ListenerRules>,
    pub(super) grants: Grants,
}

/// The functions that the config of a built-in trigger type refers to, besides the target.
#[derive(Default, Deserialize)]
struct ReferencedFunctions {
    condition_function_id: Option<serde_json::Value>,
    middleware_function_ids: Option<serde_json::Value>,
}

impl Session {
    /// Returns the id under which a function is registered.
    fn prefixed(&self, id: FunctionId) -> FunctionId {
        match &self.grants.function_prefix {
            Some(prefix) => format!("{prefix}::{id}").into(),
            None => id,
        }
    }

    /// Checks that the connection may bind the trigger type, and may call the target, the condition function and the
    /// middleware functions of the trigger.
    fn check_trigger(&self, m: &RegisterTrigger) -> Result<(), ErrorBody> {
        if !self.may_bind(&m.trigger_type) {
            let kind = &m.trigger_type;
            return Err(forbidden(format!(
                "triggers of the type `{kind}` are not allowed: add it to `allowed_trigger_types`"
            )));
        }
        let namespace = m.namespace.clone().unwrap_or_default();
        self.check_target(&namespace, &m.function_id)?;
        if !m.config.is_object() {
            return Ok(());
        }
        let referenced: ReferencedFunctions = m.config.parse().map_err(|error| {
            forbidden(format!("the functions in the config of the trigger are unreadable: {error}"))
        })?;
        let middleware = match referenced.middleware_function_ids {
            Some(serde_json::Value::Array(list)) => list,
            other => other.into_iter().collect(),
        };
        for id in referenced.condition_function_id.into_iter().chain(middleware) {
            // Custom trigger types may give these keys another meaning; built-in ones reject values that are no strings.
            if let Some(id) = id.as_str().filter(|id| !id.is_empty()) {
                self.check_target(&namespace, &FunctionId::from(id))?;
            }
        }
        Ok(())
    }

    fn check_target(&self, namespace: &Namespace, id: &FunctionId) -> Result<(), ErrorBody> {
        let reached = self.broker.lookup_function(namespace, id);
        let (found_in, metadata) = match &reached {
            Some((found_in, metadata)) => (found_in, metadata.as_ref()),
            None => (namespace, None),
        };
        self.check_call(found_in, id, metadata).map_err(|error| {
            forbidden(format!("in the namespace `{namespace}`, {}", error.message))
        })
    }

    /// Authorizes the registration of a function.
    async fn authorize_function(
        &self,
        mut m: RegisterFunction,
        home: &Namespace,
    ) -> Result<RegisterFunction, ErrorBody> {
        if !self.grants.may_register_functions {
            return Err(forbidden("this connection may not register functions"));
        }
        if let Some(hook) = self.rules.hook(|access| &access.function_hook) {
            hook.authorize_function(self, &mut m, home).await?;
        }
        m.id = self.prefixed(m.id);
        Ok(m)
    }

    /// Authorizes the registration of a trigger.
    async fn authorize_trigger(
        &self,
        mut m: RegisterTrigger,
    ) -> Result<RegisterTrigger, ErrorBody> {
        if let Some(hook) = self.rules.hook(|access| &access.trigger_hook) {
            hook.authorize_trigger(self, &mut m).await?;
        }
        m.function_id = self.prefixed(m.function_id);
        self.check_trigger(&m)?;
        Ok(m)
    }

    /// Authorizes the registration of a trigger type.
    async fn authorize_trigger_type(
        &self,
        mut m: RegisterTriggerType,
    ) -> Result<RegisterTriggerType, ErrorBody> {
        if !self.grants.may_register_trigger_types {
            return Err(forbidden(
                "this connection may not register trigger types: set `allow_trigger_type_registration`",
            ));
        }
        if let Some(namespace) = &m.namespace {
            self.check_namespace(namespace)?;
        }
        if let Some(hook) = self.rules.hook(|access| &access.trigger_type_hook) {
            hook.authorize_trigger_type(self, &mut m).await?;
        }
        Ok(m)
    }
}

impl ConnectionPolicy for Session {
    fn check_namespace(&self, namespace: &Namespace) -> Result<(), ErrorBody> {
        let granted = &self.grants.namespaces;
        if granted.is_empty() || granted.contains_key(namespace) {
            return Ok(());
        }
        let names: Vec<&str> = granted.keys().map(Namespace::as_str).collect();
        Err(forbidden(format!(
            "this connection may not join the namespace `{namespace}`, only `{}`",
            names.join("`, `")
        )))
    }

    fn check_call(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> Result<(), ErrorBody> {
        let grants = &self.grants;
        if grants.forbidden_functions.contains(id) {
            return Err(forbidden(format!(
                "the function `{id}` is not allowed: remove it from `forbidden_functions`"
            )));
        }
        let patterns = grants.namespaces.get(namespace);
        if patterns.is_some_and(|patterns| patterns.iter().any(|pattern| pattern.matches(id))) {
            return Ok(());
        }
        let in_default = *namespace == DEFAULT_NAMESPACE;
        let is_allowed =
            || grants.allowed_functions.contains(id) || ALWAYS_ALLOWED.contains(&id.as_str());
        if in_default && is_allowed() {
            return Ok(());
        }
        // A listener with only middleware allows everything.
        let Some(access) = &self.rules.access else { return Ok(()) };
        if access.exposed.iter().any(|filter| filter.exposes(namespace, id, metadata)) {
            return Ok(());
        }
        Err(forbidden(format!(
            "the function `{id}` is not allowed: add it to `rbac.expose_functions`"
        )))
    }

    fn redirect(&self, call: &Request, action: Option<&Action>) -> Option<Redirect> {
        let middleware = self.rules.middleware.as_ref()?;
        Some(middleware.redirect(call, action, &self.grants.context))
    }

    fn check_function(
        self: Arc<Self>,
        function: RegisterFunction,
        home: Namespace,
    ) -> BoxFuture<'static, Result<RegisterFunction, ErrorBody>> {
        async move { self.authorize_function(function, &home).await }.boxed()
    }

    fn check_trigger(
        self: Arc<Self>,
        binding: RegisterTrigger,
    ) -> BoxFuture<'static, Result<RegisterTrigger, ErrorBody>> {
        async move { self.authorize_trigger(binding).await }.boxed()
    }

    fn check_trigger_type(
        self: Arc<Self>,
        trigger_type: RegisterTriggerType,
    ) -> BoxFuture<'static, Result<RegisterTriggerType, ErrorBody>> {
        async move { self.authorize_trigger_type(trigger_type).await }.boxed()
    }

    fn may_bind(&self, trigger_type: &TriggerTypeId) -> bool {
        let allowed = self.grants.allowed_trigger_types.as_ref();
        allowed.is_none_or(|types| types.contains(trigger_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, FunctionFilter};
    use crate::broker::testing::{broker, json};

    fn session(access: Option<Access>, grants: Grants) -> Session {
        let rules = Arc::new(ListenerRules { access, middleware: None });
        Session { broker: broker(), rules, grants }
    }

    fn session_with_grants(auth_output: &str) -> Session {
        let access = Access::new().expose(FunctionFilter::matching("api::*"));
        session(Some(access), Grants::parse(&json(auth_output)).unwrap())
    }

    fn may_call(session: &Session, namespace: &str, id: &str) -> bool {
        session.check_call(&namespace.into(), &id.into(), None).is_ok()
    }

    #[test]
    fn deny_list_takes_precedence_over_allow_lists() {
        let session = session_with_grants(
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
            assert!(may_call(&session, namespace, id), "{namespace} {id}");
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
            assert!(!may_call(&session, namespace, id), "{namespace} {id}");
        }
        let denied = session.check_call(&"default".into(), &"both".into(), None).unwrap_err();
        assert_eq!(denied.code, "FORBIDDEN");
        assert!(denied.message.contains("forbidden_functions"));
        let hidden = session.check_call(&"default".into(), &"state::get".into(), None).unwrap_err();
        assert!(hidden.message.contains("rbac.expose_functions"));
    }

    #[test]
    fn session_without_access_rules_allows_everything() {
        let session = session(None, Grants::unauthenticated());
        assert!(may_call(&session, "shop", "anything") && session.may_bind(&"cron".into()));
        assert!(session.check_namespace(&"shop".into()).is_ok());
        assert!(session.grants.may_register_trigger_types);
    }

    #[test]
    fn absent_and_null_grants_have_defaults() {
        for auth_output in [
            "{}",
            r#"{"namespaces":null,"allowed_functions":null,"forbidden_functions":null,"context":null,
                "allowed_trigger_types":null,"allow_trigger_type_registration":null,
                "allow_function_registration":null,"function_registration_prefix":null}"#,
            r#"{"function_registration_prefix":" ","user":"ann"}"#,
        ] {
            let grants = Grants::parse(&json(auth_output)).unwrap();
            assert!(grants.namespaces.is_empty() && grants.allowed_trigger_types.is_none());
            assert!(grants.may_register_functions && !grants.may_register_trigger_types);
            assert_eq!((grants.context.as_str(), &grants.function_prefix), ("{}", &None));
        }
    }

    #[test]
    fn invalid_auth_output_is_an_error() {
        for auth_output in [
            "null",
            "true",
            "[]",
            r#"{"allowed_functions":"all"}"#,
            r#"{"namespaces":["shop"]}"#,
            r#"{"allow_function_registration":"no"}"#,
            r#"{"forbidden_functions":["a"],"forbidden_functions":[]}"#,
        ] {
            assert!(Grants::parse(&json(auth_output)).is_err(), "{auth_output}");
        }
    }

    #[test]
    fn namespace_error_lists_the_granted_namespaces() {
        let session = session_with_grants(r#"{"namespaces":{"shop":[],"blog":["*"]}}"#);
        assert!(session.check_namespace(&"blog".into()).is_ok());
        let error = session.check_namespace(&"default".into()).unwrap_err();
        assert!(error.message.contains("`blog`, `shop`"), "{error}");
    }
}
