//! Access rules: who may connect to a listener, and what a connection may call and register (protocol section 9).

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

/// How long the auth function and the hooks may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The access rules of one listener for workers (protocol section 9).
///
/// Without rules, whoever reaches a listener may do everything. With them, a connection may call only what is exposed,
/// what its auth function grants, and a few functions that every worker needs: `engine::channels::create`,
/// `engine::workers::register`, `engine::log::*` and `engine::baggage::*`.
///
/// ```
/// use iii::engine::{Access, Engine, FunctionFilter, WorkerListener};
///
/// let rules = Access::new()
///     .auth_function("gate::auth")
///     .expose(FunctionFilter::matching("api::*"));
/// let builder = Engine::builder()
///     .listener(WorkerListener::new())
///     .listener(WorkerListener::new().host("0.0.0.0").port(49135).access(rules));
/// ```
///
/// # In a file
///
/// Each entry `iii-worker-manager` of a file is a listener (protocol section 11.3); the keys are those of the official
/// engine. Its settings are `host`, `port`, `handshake_timeout_ms`, `middleware_function_id` and `rbac`:
///
/// ```
/// # use iii::engine::EngineBuilder;
/// # let builder = EngineBuilder::from_yaml(r#"
/// workers:
///   - name: iii-worker-manager
///     config: { port: 49134 }                    # for workers that may do everything
///   - name: iii-worker-manager
///     config:
///       host: 0.0.0.0
///       port: 49135
///       middleware_function_id: gate::check      # see WorkerListener::middleware
///       rbac:
///         auth_function_id: gate::auth
///         expose_functions:
///           - match("api::*")                    # ids in the namespace `default`; `*` is any text
///           - { match: "shop::*", namespace: shop }
///           - { metadata: { public: true, tier: match("free*") } }
///         on_function_registration_function_id: gate::fn
///         on_trigger_registration_function_id: gate::trigger
///         on_trigger_type_registration_function_id: gate::type
/// # "#)?;
/// # iii::Result::<()>::Ok(())
/// ```
///
/// A key without a value is an error there, as is an unknown one: neither may open what was meant to be closed.
///
/// # The auth function
///
/// It runs in the namespace `default`, before a connection is let in, also one to `/otel`. It gets
/// `{"headers","query_params","ip_address"}`: names of headers in lower case, the query percent-decoded with all values
/// of each name. It lets a connection in by giving an object; each field may be absent or null:
///
/// | field | default | meaning |
/// |---|---|---|
/// | `namespaces` | `{}` | for each namespace, the functions that may be called in it: ids, or patterns with `*`. If there is any, the worker must announce itself in one of them |
/// | `allowed_functions` | `[]` | ids in `default` that may be called |
/// | `forbidden_functions` | `[]` | ids that may not be called in any namespace, whatever else says |
/// | `allowed_trigger_types` | all | ids of the trigger types that may be bound |
/// | `allow_trigger_type_registration` | false | whether trigger types may be registered; true without an auth function |
/// | `allow_function_registration` | true | whether functions may be registered |
/// | `context` | `{}` | handed to hooks and middleware |
/// | `function_registration_prefix` | none | each registered function `f` becomes `prefix::f`, and so do the functions that triggers are bound to; the worker still knows them as `f` |
///
/// If it fails, is late, or gives anything else, the connection gets `{"type":"error","error":{"code":"AUTH_ERROR",…}}`
/// and is closed with the code 4401. SDKs try again later. What was granted holds as long as the connection.
///
/// The sockets of channels are not asked: the key of a channel is a secret that only somebody gets who was let in, and
/// SDKs send nothing else with it.
///
/// # Hooks
///
/// A hook is a function of `default` that sees each registration, and allows it by giving an object, in which it may
/// rewrite some fields. Anything else, an error or no answer in time refuses the registration. Registrations of one
/// connection keep their order; its calls and answers do not wait for them.
///
/// | hook | gets | may rewrite |
/// |---|---|---|
/// | function | `function_id`, `description`, `metadata`, `namespace`, `context` | `function_id`, `description`, `metadata` |
/// | trigger | `trigger_id`, `trigger_type`, `function_id`, `config`, `metadata`, `namespace`, `context` | `trigger_id`, `trigger_type`, `function_id`, `config` |
/// | trigger type | `trigger_type_id`, `description`, `context` | `trigger_type_id`, `description` |
///
/// What a hook gives is checked like what the worker sent: a trigger only reaches functions that its worker may call,
/// as its target, as its condition, or as its middleware.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub(crate) auth: Option<FunctionId>,
    pub(crate) exposed: Vec<FunctionFilter>,
    pub(crate) on_function: Option<FunctionId>,
    pub(crate) on_trigger: Option<FunctionId>,
    pub(crate) on_trigger_type: Option<FunctionId>,
    pub(crate) timeout: Duration,
}

impl Default for Access {
    /// Everybody gets in, and may call only what every worker needs.
    fn default() -> Self {
        Self {
            auth: None,
            exposed: Vec::new(),
            on_function: None,
            on_trigger: None,
            on_trigger_type: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl Access {
    /// Rules that let everybody in, and expose nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The function that decides who gets in, and with what rights. Default: everybody gets in.
    ///
    /// With it, pages of any host may connect: the function sees the header `origin`. Without it, only pages of this
    /// machine may.
    #[must_use]
    pub fn auth_function(mut self, id: impl Into<String>) -> Self {
        self.auth = Some(id.into().into());
        self
    }

    /// Exposes functions to everybody who got in, in addition to those exposed before.
    #[must_use]
    pub fn expose(mut self, functions: FunctionFilter) -> Self {
        self.exposed.push(functions);
        self
    }

    /// The function that decides about each function that is registered. Default: none.
    #[must_use]
    pub fn on_function_registration(mut self, id: impl Into<String>) -> Self {
        self.on_function = Some(id.into().into());
        self
    }

    /// The function that decides about each trigger that is bound. Default: none.
    #[must_use]
    pub fn on_trigger_registration(mut self, id: impl Into<String>) -> Self {
        self.on_trigger = Some(id.into().into());
        self
    }

    /// The function that decides about each trigger type that is registered. Default: none.
    #[must_use]
    pub fn on_trigger_type_registration(mut self, id: impl Into<String>) -> Self {
        self.on_trigger_type = Some(id.into().into());
        self
    }

    /// How long the auth function and each call of a hook may take; then the answer is no. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
