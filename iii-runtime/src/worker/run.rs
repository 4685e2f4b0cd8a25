//! The life of a worker: connect, register, confirm, serve, come back, drain.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::backoff::Backoff;
use super::confirm::{ask, confirm, confirm_triggers, nothing};
use super::conflict::{Conflict, Lost, Turn};
use super::dispatch::Dispatcher;
use super::leaving::{Leaving, done, warn_of_last_words};
use super::pending::Pending;
use super::provider::Provider;
use super::registration::{Answers, Complaints, Identity, Refusal, Registrations, Verdict};
use super::session::{ConnectionState, Session, Up};
use crate::error::{Error, Result, code};
use crate::protocol::{ErrorBody, FunctionId, Message, WorkerId};
use crate::transport::{ConnectError, Link, Outbox};

/// How long the other side may take to read what was sent last.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A worker before it runs.
pub(crate) struct Worker {
    pub session: Arc<Session>,
    pub dispatcher: Arc<Dispatcher>,
    pub provider: Arc<Provider>,
    pub registrations: Arc<Registrations>,
    pub identity: Identity,
    pub backoff: Backoff,
    pub conflict: Conflict,
    /// What the app does at the end, when everything is answered and the link is still there.
    pub stopping: Option<BoxFuture<'static, ()>>,
    /// Whether the engine is asked for what it has. One in this process complains about all that it does not take, so
    /// that a test need not ask, which would cost it a third of its start.
    pub asks: bool,
}

/// How the start went well.
#[derive(Debug)]
pub(crate) struct Started {
    /// Triggers whose type nobody provides yet.
    pub waiting: Vec<Refusal>,
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    control: mpsc::UnboundedSender<Control>,
    running: tokio::task::JoinHandle<()>,
    failed: oneshot::Receiver<Error>,
    /// Tasks that end with the worker.
    beside: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy)]
enum Control {
    /// Take back what is registered, finish what runs, and leave; at the latest after this time.
    Drain(Duration),
    /// Leave now.
    Abort,
}

impl Worker {
    /// Starts the worker. It is ready when the receiver says so: the engine has confirmed every registration.
    pub(crate) fn spawn(mut self) -> (WorkerHandle, oneshot::Receiver<Result<Started>>) {
        let (control, controlled) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let (failing, failed) = oneshot::channel();
        let life = Life {
            stopping: self.stopping.take(),
            worker: self,
            leaving: Leaving::default(),
            control: controlled,
            ready: Some(ready),
            failing: Some(failing),
            previous: None,
        };
        let running = tokio::spawn(life.run());
        (WorkerHandle { control, running, failed, beside: Vec::new() }, started)
    }
}

impl WorkerHandle {
    /// Ends a task with the worker.
    pub(crate) fn keep(&mut self, task: tokio::task::JoinHandle<()>) {
        self.beside.push(task);
    }

    /// Drains: no new invocations, those that run are finished and answered, then the worker leaves.
    pub(crate) fn drain(&self, grace: Duration) {
        let _ = self.control.send(Control::Drain(grace));
    }

    /// Answers what runs with `shutting_down`, and leaves.
    pub(crate) fn abort(&self) {
        let _ = self.control.send(Control::Abort);
    }

    /// Waits until the worker has left; the error says that it has not left by itself, or not in time.
    pub(crate) async fn left(&mut self) -> Result<()> {
        // It may be asked twice.
        if !self.running.is_finished() {
            let _ = (&mut self.running).await;
        }
        self.failed.try_recv().map_or(Ok(()), Err)
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.running.abort();
        self.beside.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A worker that runs.
struct Life {
    worker: Worker,
    /// What the app does at the end, until it is done.
    stopping: Option<BoxFuture<'static, ()>>,
    leaving: Leaving,
    control: mpsc::UnboundedReceiver<Control>,
    ready: Option<oneshot::Sender<Result<Started>>>,
    failing: Option<oneshot::Sender<Error>>,
    /// The connection before this one, and the secret to take its place.
    previous: Option<(WorkerId, Uuid)>,
}

/// How a link ended.
enum End {
    Lost,
    Left,
    Failed(Error),
}

impl Drop for Life {
    /// However the worker ends, nothing of it fires any more, and nobody takes it for ready.
    fn drop(&mut self) {
        self.worker.provider.stop();
        self.worker.session.readiness().leaving();
        self.worker.session.bindings().end();
    }
}

impl Life {
    async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let end = match self.connect().await {
                Ok(Some(link)) => {
                    let seen = self.previous;
                    let end = self.serve(link).await;
                    if self.previous != seen {
                        // The engine has answered: the next pause is short again.
                        attempt = 0;
                    }
                    end
                }
                Ok(None) => End::Left,
                Err(error) if error.is_permanent() => {
                    End::Failed(Error::new(code::CONNECT_FAILED, error.to_string()))
                }
                Err(error) => {
                    tracing::warn!("the engine cannot be reached: {error}");
                    End::Lost
                }
            };
            match end {
                End::Left => return self.left().await,
                End::Failed(error) => return self.fail(error),
                End::Lost => {
                    let first = self.previous.is_none();
                    self.worker.session.down(if first {
                        ConnectionState::Connecting
                    } else {
                        ConnectionState::Reconnecting
                    });
                }
            }
            let pause = self.worker.backoff.pause(attempt);
            attempt += 1;
            tracing::info!("connecting to {} again in {pause:.1?}", self.worker.session.engine());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                control = self.control.recv() => {
                    self.told(control);
                    return self.left().await;
                }
            }
        }
    }

    /// A link; `None` if the worker is told to leave meanwhile.
    async fn connect(&mut self) -> Result<Option<Link>, ConnectError> {
        tokio::select! {
            link = self.worker.session.connect() => link.map(Some),
            control = self.control.recv() => {
                self.told(control);
                Ok(None)
            }
        }
    }

    /// The worker is told to leave, the first or the second time. Whether it was the first, and there is time.
    fn told(&mut self, control: Option<Control>) -> bool {
        self.worker.session.readiness().leaving();
        match control {
            Some(Control::Drain(grace)) if !self.leaving.begun() => {
                self.leaving.begin(grace);
                self.worker.provider.stop();
                true
            }
            _ => {
                self.worker.dispatcher.abort();
                self.leaving.now();
                self.stopping = None;
                false
            }
        }
    }

    /// The grace period is over, and some handlers are not done.
    fn cut_off(&mut self) {
        let left = self.worker.dispatcher.in_flight();
        tracing::warn!("{left} invocations are not done, and the grace period is over");
        self.worker.dispatcher.abort();
        self.leaving.aborted(left);
    }

    /// The link is closed, by this side or by the other one. Handlers may finish what they do, although nobody can be
    /// answered any more.
    async fn left(mut self) {
        self.worker.session.down(ConnectionState::Disconnected);
        let dispatcher = self.worker.dispatcher.clone();
        while !self.leaving.ending() && !self.leaving.at_once() {
            tokio::select! {
                biased;
                () = dispatcher.drained() => self.leaving.end(),
                control = self.control.recv() => drop(self.told(control)),
                () = self.leaving.grace_over() => self.cut_off(),
            }
        }
        tokio::select! {
            biased;
            () = done(&mut self.stopping) => {}
            () = self.leaving.last_over() => warn_of_last_words(),
            _ = self.control.recv() => {}
        }
        dispatcher.abort();
        if let (cut @ 1.., Some(failing)) = (self.leaving.cut, self.failing.take()) {
            let text = format!(
                "{cut} invocations were not done when the grace period was over, and were cut off"
            );
            let _ = failing.send(Error::new(code::GRACE_EXCEEDED, text));
        }
    }

    fn fail(&mut self, error: Error) {
        self.worker.session.down(ConnectionState::Failed);
        self.worker.dispatcher.abort();
        match self.ready.take() {
            Some(ready) => drop(ready.send(Err(error))),
            None => {
                tracing::error!("the worker has failed: {error}");
                if let Some(failing) = self.failing.take() {
                    let text = error.message().to_owned();
                    let _ = failing.send(Error::new(code::THROWN_OUT, text).with_source(error));
                }
            }
        }
    }

    /// Serves one link until its end.
    async fn serve(&mut self, link: Link) -> End {
        let Link { outbox, mut inbox } = link;
        let up = Up { outbox: outbox.clone(), pending: Pending::new() };
        if let Some((previous_worker_id, reattach_token)) = self.previous {
            let _ = outbox.send(Message::Reattach { previous_worker_id, reattach_token });
        }
        let waits = self.worker.conflict == Conflict::Warn;
        let mut confirming: BoxFuture<'static, _> = Box::pin(confirm(&self.worker, &up, !waits));
        let provider = self.worker.provider.clone();
        provider.linked();
        let registrations = self.worker.registrations.clone();
        for message in registrations.register() {
            let _ = outbox.send(message);
        }
        // What fires a function that another worker has must not fire it twice: then triggers come when it is known who
        // has what.
        if !waits {
            registrations.register_triggers(|_| true).for_each(|message| say(&outbox, message));
        }
        let session = self.worker.session.clone();
        let bindings = session.bindings();
        bindings.linked(&outbox);
        session.up(up.clone());

        let mut complaints = Complaints::default();
        let mut lost = Lost::new(self.worker.backoff);
        let mut confirmed = false;
        let mut halfway = !waits;
        let dispatcher = self.worker.dispatcher.clone();
        let mut introduced = None;
        let mut turned_away: Option<Box<ErrorBody>> = None;
        let end = loop {
            tokio::select! {
                biased;
                message = inbox.next() => match message {
                    None => break match (&complaints.worker, turned_away) {
                        (Some(_), _) => End::Failed(refused(&registrations.judge(&Answers::default(), &complaints, |_| false))),
                        (None, Some(error)) if self.is_final(&error) => End::Failed(not_let_in(&error)),
                        (None, _) if self.leaving.begun() => End::Left,
                        (None, _) => End::Lost,
                    },
                    Some(Message::WorkerRegistered { worker_id, reattach_token }) => {
                        dispatcher.connected(worker_id);
                        introduced = reattach_token.map(|token| (worker_id, token));
                    }
                    Some(Message::InvokeFunction(m)) => {
                        if let Some(m) = bindings.deliver(m, &outbox) {
                            dispatcher.dispatch(m, &outbox);
                        }
                    }
                    Some(Message::InvocationResult(m)) => up.pending.answer(m.invocation_id, m.result),
                    Some(Message::RegistrationRejected(m)) if bindings.rejected(&m) => {}
                    Some(Message::RegistrationRejected(m)) => {
                        let rejected = registrations.refused_function(&m);
                        match &m.function_id {
                            Some(id) if waits && m.error.is_none() => {
                                if lost.lose(id) && confirmed {
                                    tracing::warn!("{rejected}");
                                    registrations.unregister_triggers(id).for_each(|message| say(&outbox, message));
                                }
                            }
                            Some(_) if confirmed && !self.leaving.begun() => {
                                tracing::error!("{rejected}");
                                if rejected.taken && !waits {
                                    break End::Failed(Error::new(code::REGISTRATION_REJECTED, rejected.to_string()));
                                }
                                session.readiness().refuse(rejected.to_string());
                            }
                            _ => complaints.rejected(*m),
                        }
                    }
                    Some(Message::TriggerRegistrationResult(m)) if bindings.refused(&m) => {}
                    Some(Message::TriggerRegistrationResult(m)) => {
                        if let (true, Some(error)) = (confirmed, &m.error) {
                            match registrations.refused_trigger(&m.id, error) {
                                Some(refusal) => {
                                    tracing::error!("{refusal}");
                                    session.readiness().refuse(refusal.to_string());
                                }
                                None => tracing::error!("a `{}` trigger of `{}` was refused: {error}", m.trigger_type, m.function_id),
                            }
                        }
                        complaints.trigger(*m);
                    }
                    Some(Message::RegisterTrigger(m)) => provider.bind(*m, &outbox),
                    Some(Message::UnregisterTrigger { id, .. }) => provider.unbind(&id),
                    Some(Message::Error(error)) if introduced.is_some() => {
                        tracing::error!("the engine complains: {error}");
                    }
                    Some(Message::Error(error)) => {
                        tracing::error!("{}", not_let_in(&error));
                        turned_away = Some(error);
                    }
                    Some(Message::Ping) => drop(outbox.send(Message::Pong)),
                    Some(Message::Pong) => self.leaving.no_more_come(),
                    Some(_) => {}
                },
                answers = &mut confirming, if !confirmed => match answers {
                    Err(error) => break End::Failed(error),
                    Ok(answers) if !halfway => {
                        halfway = true;
                        let serves = |id: &FunctionId| !lost.has(id);
                        registrations.register_triggers(serves).for_each(|message| say(&outbox, message));
                        confirming = Box::pin(confirm_triggers(&self.worker, &up, answers));
                    }
                    Ok(answers) => {
                        confirmed = true;
                        provider.confirmed();
                        let verdict = registrations.judge(&answers, &complaints, |id| lost.has(id));
                        if let Some(error) = self.confirmed(verdict) {
                            break End::Failed(error);
                        }
                    }
                },
                turn = lost.turn(), if confirmed && !self.leaving.begun() => match turn {
                    Turn::Ask(ids) => {
                        registrations.again(&ids).for_each(|message| say(&outbox, message));
                        lost.asked(Box::pin(ask(up.clone(), "engine::functions::info", nothing())));
                    }
                    Turn::Won(ids) => {
                        for id in &ids {
                            tracing::info!("the function `{id}` is taken over from another worker");
                        }
                        let won = |id: &FunctionId| ids.contains(id);
                        registrations.register_triggers(won).for_each(|message| say(&outbox, message));
                    }
                },
                control = self.control.recv() => if self.told(control) {
                    for message in registrations.unregister() {
                        let _ = outbox.send(message);
                    }
                    bindings.leave();
                    // The engine handles messages in order: after its pong, nothing new comes.
                    let _ = outbox.send(Message::Ping);
                },
                () = self.leaving.barrier_over() => self.leaving.no_more_come(),
                () = dispatcher.drained(), if self.leaving.finishing() => self.leaving.end(),
                () = done(&mut self.stopping), if self.leaving.ending() => break End::Left,
                () = self.leaving.last_over() => {
                    warn_of_last_words();
                    self.stopping = None;
                }
                () = self.leaving.grace_over() => self.cut_off(),
            }
        };
        if introduced.is_some() {
            self.previous = introduced;
        }
        if !matches!(end, End::Lost) {
            outbox.close(Some(1000));
            let emptied = async { while inbox.next().await.is_some() {} };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, emptied).await;
        }
        end
    }

    /// Whether there is no use in asking again to be let in. A worker that was in before waits for better times.
    fn is_final(&self, error: &ErrorBody) -> bool {
        self.previous.is_none() && error.retryable == Some(false)
    }

    /// Tells what has become of the registrations; an error ends the worker.
    fn confirmed(&mut self, verdict: Verdict) -> Option<Error> {
        for waiting in &verdict.waiting {
            tracing::warn!("{waiting}");
        }
        let Some(ready) = self.ready.take() else {
            for refusal in &verdict.refused {
                tracing::error!("{refusal}");
            }
            if self.worker.conflict == Conflict::Fail && verdict.refused.iter().any(|one| one.taken)
            {
                return Some(refused(&verdict));
            }
            let texts = verdict.refused.iter().map(ToString::to_string).collect();
            self.worker.session.readiness().confirmed(texts);
            tracing::info!("connected to {} again", self.worker.session.engine());
            return None;
        };
        if verdict.refused.is_empty() {
            self.worker.session.readiness().confirmed(Vec::new());
            let _ = ready.send(Ok(Started { waiting: verdict.waiting }));
            return None;
        }
        self.ready = Some(ready);
        Some(refused(&verdict))
    }
}

/// Sends a message. A link that is gone ends by itself, and everything is said again over the next.
fn say(outbox: &Outbox, message: Message) {
    let _ = outbox.send(message);
}

/// The error of an engine that does not let this worker in.
fn not_let_in(error: &ErrorBody) -> Error {
    Error::new(code::CONNECT_FAILED, format!("the engine does not let this worker in: {error}"))
}

/// Refusals as one error.
fn refused(verdict: &Verdict) -> Error {
    let lines: Vec<String> = verdict.refused.iter().map(ToString::to_string).collect();
    Error::new(code::REGISTRATION_REJECTED, lines.join("\n"))
}
