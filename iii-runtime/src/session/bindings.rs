//! What a worker registers after its start, beside its declarations: triggers that it listens to, and functions that a
//! test stands in for. All of it is registered again, once, over each new link.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inbox::{ListenerEvent, ListenerInbox};
use iii_wire::protocol::{
    ErrorBody, FunctionId, InvocationResult, InvokeFunction, Message, Payload, RegisterFunction,
    RegisterTrigger, RegistrationRejected, TriggerId, TriggerRegistrationResult,
};
use iii_wire::transport::{Outbox, SendError};
use iii_wire::{Error, Result, code};

/// The registrations that came after the start.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The link over which everything here is registered.
    link: Option<Outbox>,
    /// The worker has stopped, and takes no more.
    over: bool,
    /// Functions that something else serves.
    functions: Vec<FunctionId>,
    /// In the order in which they came, which is that of the wire.
    bound: BTreeMap<u64, Bound>,
    by_function: HashMap<FunctionId, u64>,
    count: u64,
}

/// A trigger that somebody listens to.
#[derive(Debug)]
struct Bound {
    trigger: RegisterTrigger,
    inbox: Arc<ListenerInbox>,
    /// Whether it was registered over some link: what fires without one is lost.
    registered: bool,
}

impl Bindings {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a function that is served in another way than by a declaration.
    #[cfg(feature = "testing")]
    pub(crate) fn serve(&self, id: &FunctionId) {
        let mut state = self.lock();
        if !state.functions.contains(id) {
            state.functions.push(id.clone());
        }
        if let Some(link) = &state.link {
            let _ = link.send(function(id.clone(), None));
        }
    }

    /// Binds a trigger to a function that only this worker knows: what fires goes into the inbox.
    ///
    /// # Errors
    ///
    /// `shutting_down` if the worker has stopped, `overloaded` or `payload_too_large` if it cannot be sent.
    pub(crate) fn bind(&self, trigger: RegisterTrigger, inbox: Arc<ListenerInbox>) -> Result<()> {
        let mut state = self.lock();
        if state.over {
            let text = "nothing can be listened to: the worker has stopped";
            return Err(Error::new(code::SHUTTING_DOWN, text));
        }
        let mut bound = Bound { trigger, inbox, registered: false };
        if let Some(link) = &state.link {
            match bound.register(link) {
                // The next link registers it.
                Ok(()) | Err(SendError::Closed) => {}
                Err(SendError::Full) => {
                    let text = "the trigger was not bound: too much is waiting to be sent";
                    return Err(Error::new(code::OVERLOADED, text).with_retryable(true));
                }
                Err(SendError::TooLarge) => {
                    let text = "the trigger was not bound: its config is larger than a message";
                    return Err(Error::new(code::PAYLOAD_TOO_LARGE, text));
                }
            }
        }
        state.count += 1;
        let number = state.count;
        state.by_function.insert(bound.trigger.function_id.clone(), number);
        state.bound.insert(number, bound);
        Ok(())
    }

    /// Ends what [`Bindings::bind`] began.
    pub(crate) fn unbind(&self, function: &FunctionId) {
        let mut state = self.lock();
        let Some(bound) = state.remove(function) else { return };
        if let Some(link) = &state.link {
            bound.unregister(link);
        }
    }

    /// Whether nothing is registered.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.functions.is_empty() && state.bound.is_empty()
    }

    /// Registers everything over a new link, and from now on what comes later.
    pub(crate) fn linked(&self, link: &Outbox) {
        let mut state = self.lock();
        for id in &state.functions {
            let _ = link.send(function(id.clone(), None));
        }
        for bound in state.bound.values_mut() {
            if bound.registered {
                bound.inbox.push(ListenerEvent::Missed { events: 0, link: true });
            }
            let _ = bound.register(link);
        }
        state.link = Some(link.clone());
    }

    /// The link is gone.
    pub(crate) fn unlinked(&self) {
        self.lock().link = None;
    }

    /// The worker leaves: nothing is to fire any more. What waits can still be read.
    pub(crate) fn leave(&self) {
        let state = self.lock();
        if let Some(link) = &state.link {
            state.bound.values().for_each(|bound| bound.unregister(link));
        }
    }

    /// The worker has stopped.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.link = None;
        state.by_function.clear();
        for bound in std::mem::take(&mut state.bound).into_values() {
            bound.inbox.end();
        }
    }

    /// Puts an invocation into the inbox that it is for, and answers it; gives it back if it is for none.
    ///
    /// This is done at once, and not in a task of its own, so that events keep their order.
    pub(crate) fn deliver(
        &self,
        message: Box<InvokeFunction>,
        link: &Outbox,
    ) -> Option<Box<InvokeFunction>> {
        let inbox = {
            let state = self.lock();
            let number = state.by_function.get(&message.function_id);
            number.and_then(|number| state.bound.get(number)).map(|bound| bound.inbox.clone())
        };
        let Some(inbox) = inbox else { return Some(message) };
        let taken = inbox.push(ListenerEvent::Fired(message.data));
        if let Some(invocation_id) = message.invocation_id {
            let result = if taken { Ok(None) } else { Err(does_not_keep_up()) };
            let _ = link.send(Message::InvocationResult(Box::new(InvocationResult {
                invocation_id,
                function_id: message.function_id,
                result,
                traceparent: message.traceparent,
                baggage: message.baggage,
            })));
        }
        None
    }

    /// Whether the engine speaks of a trigger that is bound here, and of nothing else.
    pub(crate) fn refused(&self, result: &TriggerRegistrationResult) -> bool {
        let mut state = self.lock();
        let is_it = |bound: &&Bound| bound.trigger.id == result.id;
        let Some(bound) = state.bound.values().find(is_it) else { return false };
        let function = bound.trigger.function_id.clone();
        if let Some(error) = &result.error {
            state.refuse(&function, error);
        }
        true
    }

    /// As [`Bindings::refused`], of a function.
    pub(crate) fn rejected(&self, rejected: &RegistrationRejected) -> bool {
        let Some(function) = &rejected.function_id else { return false };
        let mut state = self.lock();
        if !state.by_function.contains_key(function) {
            return false;
        }
        let why = rejected.error.clone().unwrap_or_else(|| {
            ErrorBody::new(rejected.code.clone(), "the engine refused the function of a listener")
        });
        state.refuse(function, &why);
        true
    }
}

impl State {
    fn remove(&mut self, function: &FunctionId) -> Option<Bound> {
        let number = self.by_function.remove(function)?;
        self.bound.remove(&number)
    }

    /// Ends what the engine does not take. The function of a refused trigger goes with it.
    fn refuse(&mut self, function: &FunctionId, error: &ErrorBody) {
        let Some(bound) = self.remove(function) else { return };
        if let Some(link) = &self.link {
            bound.unregister(link);
        }
        bound.inbox.push(ListenerEvent::Refused(error.clone()));
        bound.inbox.end();
    }
}

impl Bound {
    fn register(&mut self, link: &Outbox) -> Result<(), SendError> {
        let hidden = Payload::from_built(r#"{"internal":true}"#.to_owned());
        link.send(function(self.trigger.function_id.clone(), Some(hidden)))?;
        link.send(Message::RegisterTrigger(Box::new(self.trigger.clone())))?;
        self.registered = true;
        Ok(())
    }

    /// The trigger first: what fires must still find its function.
    fn unregister(&self, link: &Outbox) {
        let RegisterTrigger { id, trigger_type, function_id, .. } = &self.trigger;
        let trigger = Message::UnregisterTrigger {
            id: TriggerId::clone(id),
            trigger_type: Some(trigger_type.clone()),
        };
        let _ = link.send(trigger);
        let _ = link.send(Message::UnregisterFunction { id: function_id.clone() });
    }
}

/// The registration of a function of which little is known.
fn function(id: FunctionId, metadata: Option<Payload>) -> Message {
    Message::RegisterFunction(Box::new(RegisterFunction {
        id,
        description: None,
        request_format: None,
        response_format: None,
        metadata,
        invocation: None,
    }))
}

fn does_not_keep_up() -> ErrorBody {
    let text = "the listener does not keep up: more events wait for it than may";
    ErrorBody { retryable: Some(true), ..ErrorBody::new(code::OVERLOADED, text) }
}
