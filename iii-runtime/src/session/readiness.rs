//! Whether a worker is ready: connected, all registrations confirmed, started, and not draining.

use std::sync::Mutex;

use iii_wire::sync::lock;
use tokio::sync::watch;

/// The conditions of readiness, and a watch channel with the outcome.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    state: Mutex<ReadinessState>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct ReadinessState {
    /// The worker is connected, and the engine has answered every registration.
    confirmed: bool,
    /// The start hooks of the app have completed.
    started: bool,
    /// The worker accepts no further invocations.
    draining: bool,
    /// The registrations that the engine refused on the current connection.
    refusals: Vec<String>,
}

impl Readiness {
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Messages about the registrations that the engine refused on the current connection.
    pub(crate) fn refusals(&self) -> Vec<String> {
        lock(&self.state).refusals.clone()
    }

    /// Records that the engine has answered every registration, with messages about those it refused.
    pub(crate) fn set_confirmed(&self, refusals: Vec<String>) {
        self.change(|state| {
            state.confirmed = true;
            state.refusals = refusals;
        });
    }

    /// Records a registration that the engine refused after it had been confirmed.
    pub(crate) fn add_refusal(&self, message: String) {
        self.change(|state| state.refusals.push(message));
    }

    /// Records that the connection was lost.
    pub(crate) fn set_disconnected(&self) {
        self.change(|state| {
            state.confirmed = false;
            state.refusals.clear();
        });
    }

    /// Records that the start hooks of the app have completed.
    pub(crate) fn set_started(&self) {
        self.change(|state| state.started = true);
    }

    /// Records that the worker drains.
    pub(crate) fn set_draining(&self) {
        self.change(|state| state.draining = true);
    }

    fn change(&self, change: impl FnOnce(&mut ReadinessState)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let ReadinessState { confirmed, started, draining, refusals } = &*state;
        let ready = *confirmed && *started && !*draining && refusals.is_empty();
        // Under the lock, so that the watch channel sees concurrent changes in their order.
        self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_when_all_conditions_hold() {
        let readiness = Readiness::default();
        readiness.set_confirmed(Vec::new());
        assert!(!readiness.is_ready(), "the start hooks have not completed");
        readiness.set_started();
        assert!(readiness.is_ready());
        readiness.add_refusal("a route".to_owned());
        assert!(!readiness.is_ready());
        assert_eq!(readiness.refusals(), ["a route"]);
        readiness.set_disconnected();
        readiness.set_confirmed(Vec::new());
        assert!(readiness.is_ready(), "a new connection clears the refusals");
        readiness.set_draining();
        assert!(!readiness.is_ready());
    }
}
