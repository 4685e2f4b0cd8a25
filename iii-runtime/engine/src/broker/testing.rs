//! Test workers that exchange raw messages with a broker in this process.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::{Broker, ConnectionPolicy};
use crate::provider::Outcome;
use iii_wire::clock::Clock;
use iii_wire::protocol::{
    Action, ErrorBody, InvocationId, InvocationResult, InvokeFunction, Message, Payload,
    RegisterFunction, RegisterTrigger, RegisterTriggerType, RegistrationRejected,
    TriggerRegistrationResult, WorkerId,
};
use iii_wire::transport::{Connection, OutboxLimits, local};

/// Timeout of everything that a test awaits.
const DEADLINE: Duration = Duration::from_secs(30);

/// Creates a broker with the system clock and the default grace period.
pub(crate) fn broker() -> Broker {
    Broker::new(Clock::system(), Duration::from_secs(5))
}

/// Parses JSON.
pub(crate) fn json(text: &str) -> Payload {
    Payload::from_json(text.to_owned()).expect("a test writes JSON")
}

/// The worker's endpoint of a connection.
pub(crate) struct Worker {
    /// The connection.
    pub(crate) connection: Connection,
    /// The id that the engine gave the connection.
    pub(crate) id: WorkerId,
    /// The token for reattaching.
    pub(crate) token: Uuid,
}

impl Worker {
    /// Connects without an announcement.
    pub(crate) async fn connect(broker: &Broker) -> Self {
        Self::connect_with(broker, OutboxLimits::default()).await
    }

    /// Connects with other outbox limits.
    pub(crate) async fn connect_with(broker: &Broker, limits: OutboxLimits) -> Self {
        let (ours, theirs) = local::pair(limits);
        tokio::spawn(broker.attach(theirs, None));
        Self::greeted(ours).await
    }

    /// Connects with a policy.
    pub(crate) async fn connect_with_policy(
        broker: &Broker,
        policy: Arc<dyn ConnectionPolicy>,
    ) -> Self {
        let (ours, theirs) = local::pair(OutboxLimits::default());
        tokio::spawn(broker.attach_with_policy(Some(policy), theirs, None));
        Self::greeted(ours).await
    }

    /// Awaits the first message of the engine.
    pub(crate) async fn greeted(mut connection: Connection) -> Self {
        let first = tokio::time::timeout(DEADLINE, connection.inbox.next()).await;
        let Ok(Some(Message::WorkerRegistered { worker_id, reattach_token: Some(token) })) = first
        else {
            panic!("no greeting: {first:?}")
        };
        Self { connection, id: worker_id, token }
    }

    /// Connects and announces itself in the namespace `default`.
    pub(crate) async fn named(broker: &Broker, name: &str) -> Self {
        Self::in_namespace(broker, name, "default").await
    }

    /// Connects and announces itself.
    pub(crate) async fn in_namespace(broker: &Broker, name: &str, namespace: &str) -> Self {
        let mut worker = Self::connect(broker).await;
        let outcome = worker.announce(name, namespace).await;
        assert_eq!(outcome.unwrap().unwrap().as_str(), r#"{"success":true}"#);
        worker
    }

    /// Announces itself, with a process id.
    pub(crate) async fn announce(&mut self, name: &str, namespace: &str) -> Outcome {
        let data = format!(
            r#"{{"runtime":"rust","version":"1","name":"{name}","namespace":"{namespace}","pid":7}}"#
        );
        self.call("engine::workers::register", &data).await
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: Message) {
        self.connection.outbox.send(message).expect("the engine reads");
    }

    /// Receives the next message; panics after a timeout.
    pub(crate) async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(DEADLINE, self.connection.inbox.next()).await;
        next.expect("a message in time").expect("an open connection")
    }

    /// Waits until the connection is closed, ignoring messages.
    pub(crate) async fn closed(&mut self) {
        let all = async { while self.connection.inbox.next().await.is_some() {} };
        tokio::time::timeout(DEADLINE, all).await.expect("the connection closes in time");
    }

    /// Sends a ping and expects its pong: all earlier messages were handled, and no other message was received.
    pub(crate) async fn nothing_else(&mut self) {
        self.send(Message::Ping);
        assert_eq!(self.next().await, Message::Pong);
    }

    /// Registers a function.
    pub(crate) fn function(&self, id: &str) {
        self.send(Message::RegisterFunction(Box::new(RegisterFunction {
            id: id.into(),
            description: None,
            request_format: None,
            response_format: None,
            metadata: None,
            invocation: None,
        })));
    }

    /// Registers a trigger type.
    pub(crate) fn trigger_type(&self, id: &str) {
        self.send(Message::RegisterTriggerType(Box::new(RegisterTriggerType {
            id: id.into(),
            description: id.to_owned(),
            trigger_request_format: None,
            call_request_format: None,
            namespace: None,
        })));
    }

    /// Creates a trigger with the metadata `{"m":1}`.
    pub(crate) fn binding(
        id: &str,
        trigger_type: &str,
        function_id: &str,
        config: &str,
    ) -> RegisterTrigger {
        RegisterTrigger {
            id: id.into(),
            trigger_type: trigger_type.into(),
            function_id: function_id.into(),
            config: json(config),
            metadata: Some(json(r#"{"m":1}"#)),
            namespace: None,
            trigger_namespace: None,
        }
    }

    /// Registers a trigger.
    pub(crate) fn bind(&self, id: &str, trigger_type: &str, function_id: &str, config: &str) {
        let binding = Self::binding(id, trigger_type, function_id, config);
        self.send(Message::RegisterTrigger(Box::new(binding)));
    }

    /// Removes a trigger.
    pub(crate) fn unbind(&self, id: &str) {
        self.send(Message::UnregisterTrigger { id: id.into(), trigger_type: None });
    }

    /// Creates a call.
    pub(crate) fn invocation(function_id: &str, data: &str) -> InvokeFunction {
        InvokeFunction {
            invocation_id: Some(InvocationId::random()),
            function_id: function_id.into(),
            data: json(data),
            caller: None,
            traceparent: None,
            baggage: None,
            action: None,
            metadata: None,
            namespace: None,
        }
    }

    /// Sends a call and returns its id.
    pub(crate) fn start(&self, function_id: &str, data: &str) -> InvocationId {
        self.start_with(Self::invocation(function_id, data))
    }

    /// Sends a call.
    pub(crate) fn start_with(&self, m: InvokeFunction) -> InvocationId {
        let id = m.invocation_id.unwrap_or_else(InvocationId::random);
        self.send(Message::InvokeFunction(Box::new(m)));
        id
    }

    /// Sends a void call.
    pub(crate) fn void(&self, function_id: &str, data: &str) {
        let m = Self::invocation(function_id, data);
        self.start_with(InvokeFunction { action: Some(Action::Void), invocation_id: None, ..m });
    }

    /// Calls a function and awaits its result, which must be the next message.
    pub(crate) async fn call(&mut self, function_id: &str, data: &str) -> Outcome {
        let id = self.start(function_id, data);
        self.answer_to(id).await
    }

    /// Receives the result of a call, which must be the next message.
    pub(crate) async fn answer_to(&mut self, id: InvocationId) -> Outcome {
        match self.next().await {
            Message::InvocationResult(m) if m.invocation_id == id => m.result,
            other => panic!("expected the result of {id}: {other:?}"),
        }
    }

    /// Receives a call, which must be the next message.
    pub(crate) async fn called(&mut self) -> InvokeFunction {
        match self.next().await {
            Message::InvokeFunction(m) => *m,
            other => panic!("expected a call: {other:?}"),
        }
    }

    /// Receives a rejected trigger, which must be the next message.
    pub(crate) async fn binding_error(&mut self) -> TriggerRegistrationResult {
        match self.next().await {
            Message::TriggerRegistrationResult(m) => *m,
            other => panic!("expected a rejected trigger: {other:?}"),
        }
    }

    /// Receives a rejected registration, which must be the next message.
    pub(crate) async fn rejection(&mut self) -> RegistrationRejected {
        match self.next().await {
            Message::RegistrationRejected(m) => *m,
            other => panic!("expected a rejected registration: {other:?}"),
        }
    }

    /// Receives a trigger as its provider, which must be the next message.
    pub(crate) async fn bound(&mut self) -> RegisterTrigger {
        match self.next().await {
            Message::RegisterTrigger(m) => *m,
            other => panic!("expected a trigger: {other:?}"),
        }
    }

    /// Receives the removal of a trigger as its provider, which must be the next message, and returns its id.
    pub(crate) async fn unbound(&mut self) -> String {
        match self.next().await {
            Message::UnregisterTrigger { id, trigger_type: Some(_) } => id.to_string(),
            other => panic!("expected the removal of a trigger: {other:?}"),
        }
    }

    /// Sends the result of a call.
    pub(crate) fn answer(&self, call: &InvokeFunction, result: Result<Option<Payload>, ErrorBody>) {
        self.send(Message::InvocationResult(Box::new(InvocationResult {
            invocation_id: call.invocation_id.expect("the engine always sends an id"),
            function_id: call.function_id.clone(),
            result,
            traceparent: None,
            baggage: None,
        })));
    }
}

/// Yields to other tasks until `done` returns true.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("timed out: {what}"));
}

/// Installs a provider.
pub(crate) fn with_provider<P: super::Provider>(broker: &Broker, provider: P) -> Arc<P> {
    let provider = Arc::new(provider);
    broker.install(provider.clone());
    provider
}
