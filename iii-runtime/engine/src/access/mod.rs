//! Access rules of a listener: authentication of connections, and authorization of their calls and registrations
//! ([protocol 9](iii_wire::protocol#s9)).

mod auth;
mod filter;
mod hooks;
mod middleware;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

use iii_wire::protocol::FunctionId;

pub(crate) use auth::{AccessGuard, AuthRequest};
pub use filter::{FunctionFilter, MetadataRule};
pub(crate) use middleware::CallMiddleware;

/// Default timeout of the auth function and of each hook.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The access rules of one listener for workers ([protocol 9](iii_wire::protocol#s9)).
///
/// Without rules, every connection of a listener has full access. With rules, a connection may call only the functions
/// that the rules expose, the functions that the auth function grants, and those that every worker needs:
/// `engine::channels::create`, `engine::workers::register`, `engine::log::*` and `engine::baggage::*`.
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
/// use iii::engine::{Access, Engine, FunctionFilter, WorkerListener};
///
/// let rules = Access::new()
///     .auth_function("gate::auth")
///     .expose(FunctionFilter::matching("api::*"));
/// let mut builder = Engine::builder();
/// builder
///     .listener(WorkerListener::new())
///     .listener(WorkerListener::new().host("0.0.0.0").port(49135).access(rules));
/// ```
///
/// # Configuration file
///
/// Each `iii-worker-manager` entry declares a listener ([protocol 11.3](iii_wire::protocol#s11-3)), with the keys of the official engine:
/// `host`, `port`, `handshake_timeout_ms`, `middleware_function_id` and `rbac`.
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
/// # use iii::engine::EngineBuilder;
/// # let builder = EngineBuilder::from_yaml(r#"
/// workers:
///   - name: iii-worker-manager
///     config: { port: 49134 }                    # full access
///   - name: iii-worker-manager
///     config:
///       host: 0.0.0.0
///       port: 49135
///       middleware_function_id: gate::check      # see WorkerListener::middleware
///       rbac:
///         auth_function_id: gate::auth
///         expose_functions:
///           - match("api::*")                    # ids in the namespace `default`; `*` matches any string
///           - { match: "shop::*", namespace: shop }
///           - { metadata: { public: true, tier: match("free*") } }
///         on_function_registration_function_id: gate::fn
///         on_trigger_registration_function_id: gate::trigger
///         on_trigger_type_registration_function_id: gate::type
/// # "#)?;
/// # iii::Result::<()>::Ok(())
/// ```
///
/// Unknown keys and keys without a value are errors, so that a mistake cannot widen access.
///
/// # Auth function
///
/// The auth function runs in the namespace `default` before a connection is accepted, including connections to `/otel`.
/// Its input is `{"headers","query_params","ip_address"}`: header names in lower case, and the percent-decoded query
/// with all values of each name. To accept the connection it returns an object; each field may be absent or null:
///
/// | field | default | meaning |
/// |---|---|---|
/// | `namespaces` | `{}` | for each namespace, the functions that may be called in it: ids, or patterns with `*`. If not empty, the worker must announce itself in one of these namespaces |
/// | `allowed_functions` | `[]` | allow list: ids in `default` that may be called |
/// | `forbidden_functions` | `[]` | deny list: ids that may not be called in any namespace; takes precedence over every other rule |
/// | `allowed_trigger_types` | all | ids of the trigger types that may be bound |
/// | `allow_trigger_type_registration` | false | whether trigger types may be registered; true without an auth function |
/// | `allow_function_registration` | true | whether functions may be registered |
/// | `context` | `{}` | passed to hooks and middleware |
/// | `function_registration_prefix` | none | each registered function `f` becomes `prefix::f`, as do the functions that triggers are bound to; the worker still addresses them as `f` |
///
/// If the auth function fails, times out or returns anything else, the client receives
/// `{"type":"error","error":{"code":"AUTH_ERROR",…}}` and the connection is closed with the code 4401. SDKs reconnect
/// later. Grants stay in effect until the connection closes.
///
/// Channel sockets are not authenticated by the auth function: the access key of a channel is a secret that only an
/// authenticated connection can obtain, and SDKs send no other credentials with it.
///
/// # Hooks
///
/// A hook is a function in `default` that receives each registration. To allow the registration it returns an object,
/// in which it may rewrite some fields. Any other result, an error or a timeout rejects the registration. Registrations
/// of one connection keep their order; its calls and results do not wait for them.
///
/// | hook | input | may rewrite |
/// |---|---|---|
/// | function | `function_id`, `description`, `metadata`, `namespace`, `context` | `function_id`, `description`, `metadata` |
/// | trigger | `trigger_id`, `trigger_type`, `function_id`, `config`, `metadata`, `namespace`, `context` | `trigger_id`, `trigger_type`, `function_id`, `config` |
/// | trigger type | `trigger_type_id`, `description`, `context` | `trigger_type_id`, `description` |
///
/// The result of a hook is subject to the same checks as the message of the worker: the target, the condition and the
/// middleware of a trigger must be functions that the worker may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    auth_function: Option<FunctionId>,
    exposed: Vec<FunctionFilter>,
    function_hook: Option<FunctionId>,
    trigger_hook: Option<FunctionId>,
    trigger_type_hook: Option<FunctionId>,
    timeout: Duration,
}

impl Default for Access {
    /// Accepts every connection and exposes only the functions that every worker needs.
    fn default() -> Self {
        Self {
            auth_function: None,
            exposed: Vec::new(),
            function_hook: None,
            trigger_hook: None,
            trigger_type_hook: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl Access {
    /// Creates rules that accept every connection and expose nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the function that authenticates connections and grants their permissions. Default: none, every connection
    /// is accepted.
    ///
    /// With an auth function, browser pages of any origin may connect, and the function can check the field `origin`.
    /// Without one, only pages served from this machine may.
    #[must_use]
    pub fn auth_function(mut self, id: impl Into<String>) -> Self {
        self.auth_function = Some(id.into().into());
        self
    }

    /// Exposes functions to every accepted connection, in addition to those already exposed.
    #[must_use]
    pub fn expose(mut self, functions: FunctionFilter) -> Self {
        self.exposed.push(functions);
        self
    }

    /// Sets the hook that authorizes each registration of a function. Default: none.
    #[must_use]
    pub fn on_function_registration(mut self, id: impl Into<String>) -> Self {
        self.function_hook = Some(id.into().into());
        self
    }

    /// Sets the hook that authorizes each registration of a trigger. Default: none.
    #[must_use]
    pub fn on_trigger_registration(mut self, id: impl Into<String>) -> Self {
        self.trigger_hook = Some(id.into().into());
        self
    }

    /// Sets the hook that authorizes each registration of a trigger type. Default: none.
    #[must_use]
    pub fn on_trigger_type_registration(mut self, id: impl Into<String>) -> Self {
        self.trigger_type_hook = Some(id.into().into());
        self
    }

    /// Sets the timeout of the auth function and of each hook call. A timeout counts as a rejection. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
