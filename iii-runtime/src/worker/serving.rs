//! One link of a worker: what is said at its beginning, and what becomes of each message.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::confirm::{ask, confirm, confirm_triggers, nothing};
use super::conflict::{Conflict, Lost, Turn};
use super::dispatch::Dispatcher;
use super::leaving::Leaving;
use super::provider::Provider;
use super::registration::{Answers, Complaints, Registrations, Verdict};
use super::run::Worker;
use crate::session::PendingCalls;
use crate::session::{ActiveConnection, Session};
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, RegistrationRejected, TriggerRegistrationResult, WorkerId,
};
use iii_wire::transport::Outbox;
use iii_wire::{Error, Result, code};

/// A link that is served.
pub(super) struct Serving {
    session: Arc<Session>,
    registrations: Arc<Registrations>,
    provider: Arc<Provider>,
    dispatcher: Arc<Dispatcher>,
    up: ActiveConnection,
    /// Whether the worker waits for ids that another one has.
    waits: bool,
    /// Whether the engine is asked for what it has.
    asks: bool,
    /// Learns what the engine has taken.
    confirming: BoxFuture<'static, Result<Answers>>,
    /// Whether the triggers were sent.
    triggers_sent: bool,
    confirmed: bool,
    complaints: Complaints,
    lost: Lost,
    /// Who the worker is to the engine, and the secret to take its place over the next link.
    introduced: Option<(WorkerId, Uuid)>,
    /// Why the engine does not let the worker in.
    turned_away: Option<Box<ErrorBody>>,
}

/// Why a link has ended that was not lost.
pub(super) enum Failure {
    /// The engine does not take what the worker registers.
    Registrations(Error),
    /// The engine does not let the worker in.
    NotLetIn {
        /// Why.
        error: Error,
        /// Whether the engine says that it will stay so.
        is_final: bool,
    },
}

impl Serving {
    /// Says over a new link who the worker is and what it has. Calls go over it from now on.
    pub(super) fn begin(
        worker: &Worker,
        outbox: Outbox,
        previous: Option<(WorkerId, Uuid)>,
    ) -> Self {
        let up = ActiveConnection { outbox, pending: PendingCalls::new() };
        if let Some((previous_worker_id, reattach_token)) = previous {
            say(&up.outbox, Message::Reattach { previous_worker_id, reattach_token });
        }
        let waits = worker.conflict == Conflict::Warn;
        let confirming = Box::pin(confirm(worker, &up, !waits));
        worker.provider.linked();
        say_all(&up.outbox, worker.registrations.register());
        let serving = Self {
            session: worker.session.clone(),
            registrations: worker.registrations.clone(),
            provider: worker.provider.clone(),
            dispatcher: worker.dispatcher.clone(),
            up,
            waits,
            asks: worker.asks,
            confirming,
            triggers_sent: !waits,
            confirmed: false,
            complaints: Complaints::default(),
            lost: Lost::new(worker.backoff),
            introduced: None,
            turned_away: None,
        };
        // What fires a function that another worker has must not fire it twice: then triggers come when it is known who
        // has what.
        if !waits {
            serving.register_triggers(|_| true);
        }
        serving.session.bindings().attach(&serving.up.outbox);
        serving.session.set_connected(serving.up.clone());
        serving
    }

    /// Who the worker is to the engine, and the secret to take its place over the next link.
    pub(super) fn introduced(&self) -> Option<(WorkerId, Uuid)> {
        self.introduced
    }

    /// What went wrong, now that the link is gone.
    pub(super) fn failure(&self) -> Option<Failure> {
        if self.complaints.worker.is_some() {
            let verdict =
                self.registrations.judge(&Answers::default(), &self.complaints, |_| false);
            return Some(Failure::Registrations(refused(&verdict)));
        }
        let error = self.turned_away.as_deref()?;
        let is_final = error.retryable == Some(false);
        Some(Failure::NotLetIn { error: not_let_in(error), is_final })
    }

    /// Takes a message of the engine. An error ends the worker.
    pub(super) fn take(&mut self, message: Message, leaving: &mut Leaving) -> Option<Error> {
        let (bindings, outbox) = (self.session.bindings(), &self.up.outbox);
        match message {
            Message::WorkerRegistered { worker_id, reattach_token } => {
                self.dispatcher.connected(worker_id);
                self.introduced = reattach_token.map(|token| (worker_id, token));
            }
            Message::InvokeFunction(m) => {
                if let Some(m) = bindings.deliver(m, outbox) {
                    self.dispatcher.dispatch(m, outbox);
                }
            }
            Message::InvocationResult(m) => self.up.pending.complete(m.invocation_id, m.result),
            Message::RegistrationRejected(m) => {
                if let Some(m) = bindings.handle_rejection(m) {
                    return self.rejected(*m, leaving.begun());
                }
            }
            Message::TriggerRegistrationResult(m) => {
                if let Some(m) = bindings.handle_trigger_result(m) {
                    self.trigger_answered(*m);
                }
            }
            Message::RegisterTrigger(m) => self.provider.bind(*m, outbox),
            Message::UnregisterTrigger { id, .. } => self.provider.unbind(&id),
            Message::Error(error) if self.introduced.is_some() => {
                tracing::error!("the engine complains: {error}");
            }
            Message::Error(error) => {
                tracing::error!("{}", not_let_in(&error));
                self.turned_away = Some(error);
            }
            Message::Ping => say(outbox, Message::Pong),
            Message::Pong => leaving.no_more_come(),
            _ => {}
        }
        None
    }

    /// The engine does not take a function. An error ends the worker.
    fn rejected(&mut self, m: RegistrationRejected, leaving: bool) -> Option<Error> {
        let rejected = self.registrations.refused_function(&m);
        match &m.function_id {
            Some(id) if self.waits && m.error.is_none() => {
                if self.lost.lose(id) && self.confirmed {
                    tracing::warn!("{rejected}");
                    say_all(&self.up.outbox, self.registrations.unregister_triggers(id));
                }
            }
            Some(_) if self.confirmed && !leaving => {
                tracing::error!("{rejected}");
                if rejected.taken && !self.waits {
                    return Some(Error::new(code::REGISTRATION_REJECTED, rejected.to_string()));
                }
                self.session.readiness().add_refusal(rejected.to_string());
            }
            _ => self.complaints.rejected(m),
        }
        None
    }

    /// The engine says what has become of a trigger.
    fn trigger_answered(&mut self, m: TriggerRegistrationResult) {
        if let (true, Some(error)) = (self.confirmed, &m.error) {
            match self.registrations.refused_trigger(&m.id, error) {
                Some(refusal) => {
                    tracing::error!("{refusal}");
                    self.session.readiness().add_refusal(refusal.to_string());
                }
                None => tracing::error!(
                    "a `{}` trigger of `{}` was refused: {error}",
                    m.trigger_type,
                    m.function_id
                ),
            }
        }
        self.complaints.trigger(m);
    }

    /// What the engine has taken, once. After that it looks after the ids that another worker has, until the worker leaves.
    ///
    /// It may be dropped at any time.
    pub(super) async fn verdict(&mut self, leaves: bool) -> Result<Verdict> {
        if !self.confirmed {
            return self.confirm().await;
        }
        if leaves {
            return std::future::pending().await;
        }
        loop {
            let turn = self.lost.turn().await;
            self.go_on(turn);
        }
    }

    async fn confirm(&mut self) -> Result<Verdict> {
        let mut answers = (&mut self.confirming).await?;
        if !self.triggers_sent {
            self.triggers_sent = true;
            self.register_triggers(|id| !self.lost.has(id));
            self.confirming =
                Box::pin(confirm_triggers(&self.registrations, self.asks, &self.up, answers));
            answers = (&mut self.confirming).await?;
        }
        self.confirmed = true;
        self.provider.confirmed();
        Ok(self.registrations.judge(&answers, &self.complaints, |id| self.lost.has(id)))
    }

    /// Does what is to be done about ids that another worker has.
    fn go_on(&mut self, turn: Turn) {
        match turn {
            Turn::Ask(ids) => {
                say_all(&self.up.outbox, self.registrations.again(&ids));
                let asked = ask(self.up.clone(), "engine::functions::info", nothing());
                self.lost.asked(Box::pin(asked));
            }
            Turn::Won(ids) => {
                for id in &ids {
                    tracing::info!("the function `{id}` is taken over from another worker");
                }
                self.register_triggers(|id| ids.contains(id));
            }
        }
    }

    /// The worker leaves: takes back what it has registered, and asks when nothing new comes any more.
    pub(super) fn take_back(&self) {
        say_all(&self.up.outbox, self.registrations.unregister());
        self.session.bindings().unregister_listeners();
        // The engine handles messages in order: after its pong, nothing new comes.
        say(&self.up.outbox, Message::Ping);
    }

    /// Registers the triggers of these functions.
    fn register_triggers(&self, of: impl Fn(&FunctionId) -> bool) {
        say_all(&self.up.outbox, self.registrations.register_triggers(of));
    }
}

/// Sends a message. A link that is gone ends by itself, and everything is said again over the next.
fn say(outbox: &Outbox, message: Message) {
    let _ = outbox.send(message);
}

/// Sends messages in their order, as [`say`] does.
fn say_all(outbox: &Outbox, messages: impl Iterator<Item = Message>) {
    messages.for_each(|message| say(outbox, message));
}

/// The error of an engine that does not let this worker in.
fn not_let_in(error: &ErrorBody) -> Error {
    Error::new(code::CONNECT_FAILED, format!("the engine does not let this worker in: {error}"))
}

/// Refusals as one error.
pub(super) fn refused(verdict: &Verdict) -> Error {
    let lines: Vec<String> = verdict.refused.iter().map(ToString::to_string).collect();
    Error::new(code::REGISTRATION_REJECTED, lines.join("\n"))
}
