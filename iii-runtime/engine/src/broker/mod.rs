//! The broker: it keeps connections, functions, trigger types, triggers and calls, and routes messages between them.

mod authorized_calls;
mod authorized_registrations;
mod calls;
mod connection;
mod counters;
mod external;
mod functions;
mod invoke;
pub(crate) mod limits;
mod policy;
mod quota;
mod registry;
mod standby;
mod trace;
mod triggers;
mod view;
mod workers;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::limits::Limits;
use crate::provider::{BrokerEvent, ComponentHealth, Provider};
use iii_wire::clock::Clock;
use iii_wire::protocol::{Message, TriggerTypeId};
use iii_wire::sync::{lock, read, write};
use iii_wire::transport::ws::TelemetryHandler;
use iii_wire::transport::{self, Outbox};

pub(crate) use counters::BrokerMetrics;
pub(crate) use invoke::Request;
pub(crate) use policy::{ConnectionPolicy, Redirect, Visibility, forbidden};
pub(crate) use registry::WorkerInfo;
pub(crate) use view::{FunctionView, TriggerTypeView, WorkerView};
pub(crate) use workers::{ANNOUNCE, Announcement, announcement_error};

use connection::WorkerConnection;
use counters::Counters;
use registry::{
    ConnectionEntry, FunctionTarget, RegisteredFunction, RegisteredTriggerType, Registry,
    TriggerEntry, TypeProvider,
};
use triggers::BindWaiters;

/// The broker of one engine. Clones share its state.
#[derive(Clone)]
pub(crate) struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    /// Held while a registration is applied, so that providers observe changes in one order. Always acquired before
    /// `registry`, which is only held to read or modify the tables.
    changes: Mutex<()>,
    registry: RwLock<Registry>,
    providers: RwLock<Arc<Vec<Arc<dyn Provider>>>>,
    bind_waiters: BindWaiters,
    counters: Arc<Counters>,
    clock: Clock,
    started_at_ms: u64,
    grace: Duration,
    limits: Arc<Limits>,
    /// Observes each call of a built-in function, in tests.
    #[cfg(feature = "testing")]
    built_in_observer: std::sync::OnceLock<BuiltInObserver>,
}

/// Receives the id and the input of a call.
#[cfg(feature = "testing")]
pub type BuiltInObserver =
    Box<dyn Fn(&iii_wire::protocol::FunctionId, &iii_wire::protocol::Payload) + Send + Sync>;

impl Broker {
    /// Creates a broker with the default limits, for tests.
    #[cfg(test)]
    pub(crate) fn new(clock: Clock, grace: Duration) -> Self {
        Self::with_limits(clock, grace, Limits::default())
    }

    /// Creates a broker without providers. `grace` is how long a connection may take to announce its namespace.
    pub(crate) fn with_limits(clock: Clock, grace: Duration, limits: Limits) -> Self {
        let started_at_ms = clock.unix_millis();
        Self {
            inner: Arc::new(Inner {
                changes: Mutex::default(),
                registry: RwLock::default(),
                providers: RwLock::default(),
                bind_waiters: BindWaiters::default(),
                counters: Arc::default(),
                clock,
                started_at_ms,
                grace,
                limits: Arc::new(limits),
                #[cfg(feature = "testing")]
                built_in_observer: std::sync::OnceLock::new(),
            }),
        }
    }

    /// Lets a test check that the broker was freed.
    #[cfg(test)]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<impl Sized + use<>> {
        Arc::downgrade(&self.inner)
    }

    /// Sets the observer of built-in function calls. Only the first call has an effect.
    #[cfg(feature = "testing")]
    pub(crate) fn observe_built_ins(&self, built_in_observer: BuiltInObserver) {
        let _ = self.inner.built_in_observer.set(built_in_observer);
    }

    /// Returns the clock of the engine.
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Returns the limits of what clients can consume.
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.inner.limits
    }

    /// Adds a provider, whose trigger types and functions are available from then on.
    pub(crate) fn install<P: Provider>(&self, provider: Arc<P>) {
        let _changes = lock(&self.inner.changes);
        let mut registry = self.registry_mut();
        for function in provider.clone().functions() {
            let function = RegisteredFunction {
                calls: Arc::default(),
                id: function.id,
                namespace: Default::default(),
                description: Some(function.description.into()),
                request_schema: function.request_schema,
                response_schema: function.response_schema,
                metadata: None,
                local_id: None,
                target: FunctionTarget::BuiltIn {
                    provider: provider.name(),
                    handler: function.handler,
                },
            };
            registry.builtins.insert(function.id.clone(), Arc::new(function));
        }
        for info in provider.trigger_types() {
            let id = TriggerTypeId::from(info.id);
            let one = Arc::new(RegisteredTriggerType {
                id: id.clone(),
                namespace: Default::default(),
                description: info.description.into(),
                config_schema: info.config_schema,
                request_schema: info.request_schema,
                local_id: None,
                source: TypeProvider::BuiltIn(provider.clone()),
            });
            registry.types.entry(id).or_default().entry(Default::default()).or_default().push(one);
        }
        Arc::make_mut(&mut write(&self.inner.providers)).push(provider);
    }

    /// Adds a connection of an unrestricted worker. The future reads it until it ends; the caller spawns it.
    pub(crate) fn attach(
        &self,
        endpoint: transport::Connection,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.attach_with_policy(None, endpoint, peer)
    }

    /// Like [`Broker::attach`], with a policy that restricts the worker.
    pub(crate) fn attach_with_policy(
        &self,
        policy: Option<Arc<dyn ConnectionPolicy>>,
        endpoint: transport::Connection,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let transport::Connection { outbox, inbox } = endpoint;
        let (now, limits) = (self.inner.clock.unix_millis(), self.inner.limits.clone());
        let arrival = (self.inner.counters.worker_connected(), now);
        let connection = Arc::new(WorkerConnection::new(outbox, peer, policy, arrival, limits));
        connection.send(Message::WorkerRegistered {
            worker_id: connection.id,
            reattach_token: Some(connection.token),
        });
        self.registry_mut()
            .connections
            .insert(connection.id, ConnectionEntry::new(connection.clone()));
        let broker = self.clone();
        async move {
            broker.notify(&BrokerEvent::WorkerConnected(connection.id));
            broker.serve(connection, inbox).await;
        }
    }

    /// Closes all connections with a WebSocket close code, and stops all providers.
    pub(crate) fn shut_down(&self, code: u16) {
        let mut connections: Vec<_> =
            self.registry().connections.values().map(|entry| entry.connection.clone()).collect();
        // In the order of arrival, so that test runs are deterministic.
        connections.sort_by_key(|connection| connection.arrival);
        for provider in read(&self.inner.providers).clone().iter() {
            provider.before_stop();
        }
        for connection in connections {
            connection.close(Some(code));
            self.detach(&connection);
        }
        let providers = std::mem::take(&mut *write(&self.inner.providers));
        for provider in providers.iter() {
            provider.stop();
        }
        // Providers and the broker refer to each other: this breaks the cycle.
        let registry = std::mem::take(&mut *self.registry_mut());
        drop(registry);
    }

    /// Handles a message. Returns the outbox of a callee with backpressure, for the caller to wait on.
    fn handle(&self, connection: &Arc<WorkerConnection>, message: Message) -> Option<Outbox> {
        match message {
            Message::InvokeFunction(m) => return self.handle_invocation(connection, *m),
            Message::InvocationResult(m) => self.handle_result(connection, *m),
            Message::Ping => connection.send(Message::Pong),
            Message::Reattach { previous_worker_id, reattach_token } => {
                self.reattach(connection, previous_worker_id, reattach_token);
            }
            Message::TriggerRegistrationResult(m) => self.handle_trigger_result(connection, *m),
            Message::RegisterFunction(_)
            | Message::UnregisterFunction { .. }
            | Message::RegisterTriggerType(_)
            | Message::UnregisterTriggerType { .. }
            | Message::RegisterTrigger(_)
            | Message::UnregisterTrigger { .. }
            | Message::RegisterService(_) => {
                if let Some(message) = connection.buffer_registration(message) {
                    self.apply(connection, message);
                }
            }
            Message::Invalid(m) => connection.send(m.into_reply()),
            // Messages that only an engine sends are ignored.
            Message::WorkerRegistered { .. }
            | Message::RegistrationRejected(_)
            | Message::Error(_)
            | Message::Pong => {}
        }
        None
    }

    /// Applies a registration to the tables.
    fn apply_unchecked(&self, connection: &Arc<WorkerConnection>, message: Message) {
        match message {
            Message::RegisterFunction(m) => self.register_function(connection, *m, None),
            Message::UnregisterFunction { id } => self.unregister_function(connection, &id),
            Message::RegisterTriggerType(m) => self.register_type(connection, *m, None),
            Message::UnregisterTriggerType { id } => self.unregister_type(connection, &id),
            Message::RegisterTrigger(m) => self.register_trigger(connection, *m, None),
            Message::UnregisterTrigger { id, .. } => {
                self.unregister_trigger(Some(connection.id), &id);
            }
            Message::RegisterService(m) => self.register_service(connection, *m),
            _ => {}
        }
    }

    /// Notifies all providers of an event. Never called while a lock is held.
    fn notify(&self, event: &BrokerEvent) {
        let providers = read(&self.inner.providers).clone();
        for provider in providers.iter() {
            provider.on_event(event);
        }
    }

    /// Returns the handler of the telemetry frames of a connection, if a provider accepts them.
    pub(crate) fn telemetry(&self) -> Option<TelemetryHandler> {
        read(&self.inner.providers).iter().find_map(|provider| provider.telemetry())
    }

    /// Returns the health of the components that report it.
    pub(crate) fn health(&self) -> Vec<ComponentHealth> {
        let providers = read(&self.inner.providers).clone();
        providers.iter().filter_map(|provider| provider.health()).collect()
    }

    /// Returns the metrics since the broker started.
    pub(crate) fn metrics(&self) -> BrokerMetrics {
        let registry = self.registry();
        self.inner.counters.snapshot(registry.builtins.values().map(|one| &**one))
    }

    fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        read(&self.inner.registry)
    }

    fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        write(&self.inner.registry)
    }
}
