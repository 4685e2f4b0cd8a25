//! Registrations made while the worker runs, of listeners and test functions, which each reconnect repeats.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::inbox::{ListenerEvent, ListenerInbox};
use iii_wire::protocol::{
    ErrorBody, FunctionId, InvocationResult, InvokeFunction, Message, Payload, RegisterFunction,
    RegisterTrigger, RegistrationRejected, TriggerId, TriggerRegistrationResult,
};
use iii_wire::sync::lock;
use iii_wire::transport::{Outbox, SendError};
use iii_wire::{Error, Result, code};

/// The registrations that were made while the worker runs.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    state: Mutex<BindingsState>,
}

#[derive(Debug, Default)]
struct BindingsState {
    /// The connection over which everything here is registered.
    outbox: Option<Outbox>,
    /// The worker has stopped; further bindings are refused.
    closed: bool,
    /// Functions that the test harness serves.
    functions: Vec<FunctionId>,
    /// In the order of registration.
    listeners: BTreeMap<u64, BoundListener>,
    by_function: HashMap<FunctionId, u64>,
    last_number: u64,
}

/// A listener, with the trigger that it is bound to.
#[derive(Debug)]
struct BoundListener {
    trigger: RegisterTrigger,
    inbox: Arc<ListenerInbox>,
    /// Whether it was registered over an earlier connection, so that a reconnect may have missed events.
    registered: bool,
}

impl Bindings {
    /// Registers a function that the test harness serves.
    #[cfg(feature = "testing")]
    pub(crate) fn register_function(&self, id: &FunctionId) {
        let mut state = lock(&self.state);
        if !state.functions.contains(id) {
            state.functions.push(id.clone());
        }
        if let Some(outbox) = &state.outbox {
            let _ = outbox.send(register_function(id.clone(), None));
        }
    }

    /// Binds a trigger to a private function of this worker, whose invocations go to the inbox.
    ///
    /// # Errors
    ///
    /// `shutting_down` if the worker has stopped, `overloaded` or `payload_too_large` if the registration cannot be sent.
    pub(crate) fn bind(&self, trigger: RegisterTrigger, inbox: Arc<ListenerInbox>) -> Result<()> {
        let mut state = lock(&self.state);
        if state.closed {
            let text = "the trigger was not bound: the worker has stopped";
            return Err(Error::new(code::SHUTTING_DOWN, text));
        }
        let mut listener = BoundListener { trigger, inbox, registered: false };
        if let Some(outbox) = &state.outbox {
            match listener.register(outbox) {
                // The next connection registers it.
                Ok(()) | Err(SendError::Closed) => {}
                Err(SendError::Full) => {
                    let text = "the trigger was not bound: the outbox of the connection is full";
                    return Err(Error::new(code::OVERLOADED, text).with_retryable(true));
                }
                Err(SendError::TooLarge) => {
                    let text =
                        "the trigger was not bound: its config exceeds the maximum message size";
                    return Err(Error::new(code::PAYLOAD_TOO_LARGE, text));
                }
            }
        }
        state.last_number += 1;
        let number = state.last_number;
        state.by_function.insert(listener.trigger.function_id.clone(), number);
        state.listeners.insert(number, listener);
        Ok(())
    }

    /// Removes the listener whose private function has this id.
    pub(crate) fn unbind(&self, function: &FunctionId) {
        let mut state = lock(&self.state);
        let Some(listener) = state.remove(function) else { return };
        if let Some(outbox) = &state.outbox {
            listener.unregister(outbox);
        }
    }

    /// Whether nothing is registered.
    pub(crate) fn is_empty(&self) -> bool {
        let state = lock(&self.state);
        state.functions.is_empty() && state.listeners.is_empty()
    }

    /// Registers everything over a new connection, which later registrations use as well.
    pub(crate) fn attach(&self, outbox: &Outbox) {
        let mut state = lock(&self.state);
        for id in &state.functions {
            let _ = outbox.send(register_function(id.clone(), None));
        }
        for listener in state.listeners.values_mut() {
            if listener.registered {
                listener.inbox.push(ListenerEvent::Missed { events: 0, reconnected: true });
            }
            let _ = listener.register(outbox);
        }
        state.outbox = Some(outbox.clone());
    }

    /// Forgets the connection, which was lost.
    pub(crate) fn detach(&self) {
        lock(&self.state).outbox = None;
    }

    /// Unregisters all listeners at the start of a drain. Events that they have received can still be read.
    pub(crate) fn unregister_listeners(&self) {
        let state = lock(&self.state);
        if let Some(outbox) = &state.outbox {
            state.listeners.values().for_each(|listener| listener.unregister(outbox));
        }
    }

    /// Ends all listeners, and refuses further ones: the worker has stopped.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.outbox = None;
        state.by_function.clear();
        for listener in std::mem::take(&mut state.listeners).into_values() {
            listener.inbox.close();
        }
    }

    /// Delivers an invocation to the inbox of its listener and replies. Returns an invocation of any other function.
    ///
    /// Runs on the receive loop rather than in a task, which preserves the order of events.
    pub(crate) fn deliver(
        &self,
        message: Box<InvokeFunction>,
        outbox: &Outbox,
    ) -> Option<Box<InvokeFunction>> {
        let inbox = {
            let state = lock(&self.state);
            let number = state.by_function.get(&message.function_id);
            let listener = number.and_then(|number| state.listeners.get(number));
            listener.map(|listener| listener.inbox.clone())
        };
        let Some(inbox) = inbox else { return Some(message) };
        let accepted = inbox.push(ListenerEvent::Fired(message.data));
        if let Some(invocation_id) = message.invocation_id {
            let result = if accepted { Ok(None) } else { Err(inbox_full()) };
            let _ = outbox.send(Message::InvocationResult(Box::new(InvocationResult {
                invocation_id,
                function_id: message.function_id,
                result,
                traceparent: message.traceparent,
                baggage: message.baggage,
            })));
        }
        None
    }

    /// Handles the result of a listener's registration, and ends the listener if it was refused. Returns the result of any
    /// other trigger.
    pub(crate) fn handle_trigger_result(
        &self,
        result: Box<TriggerRegistrationResult>,
    ) -> Option<Box<TriggerRegistrationResult>> {
        let mut state = lock(&self.state);
        let mut listeners = state.listeners.values();
        let Some(listener) = listeners.find(|listener| listener.trigger.id == result.id) else {
            return Some(result);
        };
        let function = listener.trigger.function_id.clone();
        if let Some(error) = &result.error {
            state.end_refused(&function, error);
        }
        None
    }

    /// Ends the listener whose private function was rejected. Returns the rejection of anything else.
    pub(crate) fn handle_rejection(
        &self,
        rejected: Box<RegistrationRejected>,
    ) -> Option<Box<RegistrationRejected>> {
        let Some(function) = &rejected.function_id else { return Some(rejected) };
        let mut state = lock(&self.state);
        if !state.by_function.contains_key(function) {
            return Some(rejected);
        }
        let error = rejected.error.clone().unwrap_or_else(|| {
            ErrorBody::new(rejected.code.clone(), "the engine refused the function of a listener")
        });
        state.end_refused(function, &error);
        None
    }
}

impl BindingsState {
    fn remove(&mut self, function: &FunctionId) -> Option<BoundListener> {
        let number = self.by_function.remove(function)?;
        self.listeners.remove(&number)
    }

    /// Ends a listener that the engine refused. Unregisters both its trigger and its function.
    fn end_refused(&mut self, function: &FunctionId, error: &ErrorBody) {
        let Some(listener) = self.remove(function) else { return };
        if let Some(outbox) = &self.outbox {
            listener.unregister(outbox);
        }
        listener.inbox.push(ListenerEvent::Refused(error.clone()));
        listener.inbox.close();
    }
}

impl BoundListener {
    fn register(&mut self, outbox: &Outbox) -> Result<(), SendError> {
        let metadata = Payload::from_built(r#"{"internal":true}"#.to_owned());
        outbox.send(register_function(self.trigger.function_id.clone(), Some(metadata)))?;
        outbox.send(Message::RegisterTrigger(Box::new(self.trigger.clone())))?;
        self.registered = true;
        Ok(())
    }

    /// Unregisters the trigger before its function, so that it cannot fire a missing function.
    fn unregister(&self, outbox: &Outbox) {
        let RegisterTrigger { id, trigger_type, function_id, .. } = &self.trigger;
        let trigger = Message::UnregisterTrigger {
            id: TriggerId::clone(id),
            trigger_type: Some(trigger_type.clone()),
        };
        let _ = outbox.send(trigger);
        let _ = outbox.send(Message::UnregisterFunction { id: function_id.clone() });
    }
}

/// The message that registers a function without schemas.
fn register_function(id: FunctionId, metadata: Option<Payload>) -> Message {
    Message::RegisterFunction(Box::new(RegisterFunction {
        id,
        description: None,
        request_format: None,
        response_format: None,
        metadata,
        invocation: None,
    }))
}

fn inbox_full() -> ErrorBody {
    let text = "the listener falls behind: its inbox is full";
    ErrorBody { retryable: Some(true), ..ErrorBody::new(code::OVERLOADED, text) }
}
