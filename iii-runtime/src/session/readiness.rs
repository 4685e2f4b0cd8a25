//! Whether a worker is ready: connected, all of it confirmed, started, and not about to leave.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What readiness is made of, and those who watch it.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    facts: Mutex<Facts>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Facts {
    /// The link is there, and the engine has answered for everything.
    confirmed: bool,
    /// What the app does at the start is done.
    started: bool,
    /// The worker takes no more work.
    leaving: bool,
    /// What the engine has refused since the link is there.
    refused: Vec<String>,
}

impl Readiness {
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// What the engine has refused since the link is there, for people.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.lock().refused.clone()
    }

    /// The engine has answered for everything, and has refused this.
    pub(crate) fn confirmed(&self, refused: Vec<String>) {
        self.change(|facts| {
            facts.confirmed = true;
            facts.refused = refused;
        });
    }

    /// The engine has refused something that it had not before.
    pub(crate) fn refuse(&self, text: String) {
        self.change(|facts| facts.refused.push(text));
    }

    /// The link is gone.
    pub(crate) fn lost(&self) {
        self.change(|facts| {
            facts.confirmed = false;
            facts.refused.clear();
        });
    }

    /// What the app does at the start is done.
    pub(crate) fn started(&self) {
        self.change(|facts| facts.started = true);
    }

    /// The worker is about to leave.
    pub(crate) fn leaving(&self) {
        self.change(|facts| facts.leaving = true);
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let mut facts = self.lock();
        change(&mut facts);
        let Facts { confirmed, started, leaving, refused } = &*facts;
        let ready = *confirmed && *started && !*leaving && refused.is_empty();
        // Under the lock, so that of two changes the later one is seen last.
        self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_all_of_it_to_be_ready() {
        let readiness = Readiness::default();
        readiness.confirmed(Vec::new());
        assert!(!readiness.is_ready(), "the hooks of the start come first");
        readiness.started();
        assert!(readiness.is_ready());
        readiness.refuse("a route".to_owned());
        assert!(!readiness.is_ready());
        assert_eq!(readiness.refusals(), ["a route"]);
        readiness.lost();
        readiness.confirmed(Vec::new());
        assert!(readiness.is_ready(), "a new link begins anew");
        readiness.leaving();
        assert!(!readiness.is_ready());
    }
}
