//! The life of a worker: connect, register, confirm, serve, come back, drain.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::backoff::Backoff;
use super::dispatch::Dispatcher;
use super::pending::Pending;
use super::provider::Provider;
use super::registration::{Answers, Complaints, Identity, Refusal, Registrations, Verdict};
use super::session::{ConnectionState, Session, Up, after};
use crate::error::{Error, Result, code};
use crate::protocol::{
    ErrorBody, InvocationId, InvokeFunction, Message, Namespace, Payload, WorkerId,
};
use crate::transport::{ConnectError, Link};

/// How long the engine may take to say what it has.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the engine may take to say that no more invocations come.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(2);
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
    pub(crate) fn spawn(self) -> (WorkerHandle, oneshot::Receiver<Result<Started>>) {
        let (control, controlled) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let (failing, failed) = oneshot::channel();
        let life = Life {
            worker: self,
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

    /// Waits until the worker has left; the error says that it has not left by itself.
    pub(crate) async fn left(&mut self) -> Result<()> {
        let _ = (&mut self.running).await;
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
    /// However the worker ends, nothing of it fires any more.
    fn drop(&mut self) {
        self.worker.provider.stop();
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
                End::Left => return self.worker.session.down(ConnectionState::Disconnected),
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
                    self.leave_without_link(control).await;
                    return self.worker.session.down(ConnectionState::Disconnected);
                }
            }
        }
    }

    /// A link; `None` if the worker is told to leave meanwhile.
    async fn connect(&mut self) -> Result<Option<Link>, ConnectError> {
        tokio::select! {
            link = self.worker.session.connect() => link.map(Some),
            control = self.control.recv() => {
                self.leave_without_link(control).await;
                Ok(None)
            }
        }
    }

    /// Handlers may finish what they do, although nobody can be answered.
    async fn leave_without_link(&mut self, control: Option<Control>) {
        if let Some(Control::Drain(grace)) = control {
            tokio::select! {
                () = self.worker.dispatcher.drained() => {}
                () = tokio::time::sleep_until(after(grace)) => {}
                _ = self.control.recv() => {}
            }
        }
        self.worker.dispatcher.abort();
    }

    fn fail(&mut self, error: Error) {
        self.worker.session.down(ConnectionState::Failed);
        self.worker.dispatcher.abort();
        match self.ready.take() {
            Some(ready) => drop(ready.send(Err(error))),
            None => {
                tracing::error!("the worker has failed: {error}");
                if let Some(failing) = self.failing.take() {
                    let _ = failing.send(error);
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
        let confirming = confirm(&self.worker, &up);
        let provider = self.worker.provider.clone();
        provider.linked();
        for message in self.worker.registrations.register() {
            let _ = outbox.send(message);
        }
        self.worker.session.up(up.clone());

        let mut complaints = Complaints::default();
        let mut confirmed = false;
        let mut leaving = Leaving::default();
        let dispatcher = self.worker.dispatcher.clone();
        let mut confirming = std::pin::pin!(confirming);
        let mut introduced = None;
        let mut turned_away: Option<Box<ErrorBody>> = None;
        let end = loop {
            tokio::select! {
                biased;
                message = inbox.next() => match message {
                    None => break match (&complaints.worker, turned_away) {
                        (Some(_), _) => End::Failed(refused(&self.worker.registrations.judge(&Answers::default(), &complaints))),
                        (None, Some(error)) if self.is_final(&error) => End::Failed(not_let_in(&error)),
                        (None, _) if leaving.begun() => End::Left,
                        (None, _) => End::Lost,
                    },
                    Some(Message::WorkerRegistered { worker_id, reattach_token }) => {
                        introduced = reattach_token.map(|token| (worker_id, token));
                    }
                    Some(Message::InvokeFunction(m)) => dispatcher.dispatch(m, &outbox),
                    Some(Message::InvocationResult(m)) => up.pending.answer(m.invocation_id, m.result),
                    Some(Message::RegistrationRejected(m)) => {
                        if confirmed {
                            let why = m.error.as_ref().map_or_else(|| m.code.clone(), ToString::to_string);
                            tracing::error!("the engine took back a registration: {why} ({})", m.namespace);
                        }
                        complaints.rejected(*m);
                    }
                    Some(Message::TriggerRegistrationResult(m)) => {
                        if let (true, Some(error)) = (confirmed, &m.error) {
                            tracing::error!("a `{}` trigger of `{}` was refused: {error}", m.trigger_type, m.function_id);
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
                    Some(Message::Pong) => leaving.no_more_come(),
                    Some(_) => {}
                },
                answers = &mut confirming, if !confirmed => {
                    confirmed = true;
                    provider.confirmed();
                    let verdict = match answers {
                        Ok(answers) => self.worker.registrations.judge(&answers, &complaints),
                        Err(error) => break End::Failed(error),
                    };
                    if let Some(error) = self.confirmed(verdict) {
                        break End::Failed(error);
                    }
                }
                control = self.control.recv() => match control {
                    Some(Control::Drain(grace)) if !leaving.begun() => {
                        leaving.begin(grace);
                        provider.stop();
                        for message in self.worker.registrations.unregister() {
                            let _ = outbox.send(message);
                        }
                        // The engine handles messages in order: after its pong, nothing new comes.
                        let _ = outbox.send(Message::Ping);
                    }
                    _ => {
                        dispatcher.abort();
                        leaving.now();
                    }
                },
                () = leaving.barrier_over() => leaving.no_more_come(),
                () = dispatcher.drained(), if leaving.finishing() => break End::Left,
                () = leaving.grace_over() => {
                    tracing::warn!("{} invocations are not done, and the grace period is over", dispatcher.in_flight());
                    dispatcher.abort();
                    leaving.aborted();
                }
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
            tracing::warn!("{}", place(waiting));
        }
        let Some(ready) = self.ready.take() else {
            for refusal in &verdict.refused {
                tracing::error!("{}", place(refusal));
            }
            tracing::info!("connected to {} again", self.worker.session.engine());
            return None;
        };
        if verdict.refused.is_empty() {
            let _ = ready.send(Ok(Started { waiting: verdict.waiting }));
            return None;
        }
        self.ready = Some(ready);
        Some(refused(&verdict))
    }
}

/// How far a worker is with leaving.
#[derive(Debug, Default)]
struct Leaving {
    grace: Option<Instant>,
    barrier: Option<Instant>,
    aborted: bool,
}

impl Leaving {
    fn begin(&mut self, grace: Duration) {
        self.grace = Some(after(grace));
        self.barrier = Some(after(BARRIER_TIMEOUT));
    }

    fn now(&mut self) {
        self.grace = Some(Instant::now());
        self.barrier = None;
        self.aborted = true;
    }

    fn begun(&self) -> bool {
        self.grace.is_some()
    }

    /// The engine sends no more invocations.
    fn no_more_come(&mut self) {
        self.barrier = None;
    }

    /// Only what runs is left.
    fn finishing(&self) -> bool {
        self.begun() && self.barrier.is_none()
    }

    fn aborted(&mut self) {
        self.aborted = true;
        self.barrier = None;
    }

    async fn barrier_over(&self) {
        wait_for(self.barrier).await;
    }

    async fn grace_over(&self) {
        wait_for(self.grace.filter(|_| !self.aborted)).await;
    }
}

async fn wait_for(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Introduces the worker, and when the engine knows it, asks what it has.
///
/// The introduction is queued at once, before anything else; only the waiting is left to the future.
fn confirm<'a>(worker: &'a Worker, up: &'a Up) -> impl Future<Output = Result<Answers>> + use<> {
    let introduced = ask(up.clone(), "engine::workers::register", worker.identity.payload());
    let asks = worker.asks;
    let queries = if asks {
        worker.registrations.function_queries(worker.session.namespace())
    } else {
        Vec::new()
    };
    let has_triggers = worker.registrations.has_triggers();
    let up = up.clone();
    async move {
        if let Err(error) = introduced.await
            && matches!(error.code(), "FORBIDDEN" | "INVALID_NAMESPACE")
        {
            let text = format!("the engine refused this worker: {error}");
            return Err(Error::new(code::REGISTRATION_REJECTED, text));
        }
        let mut answers = Answers::default();
        if !asks {
            // The engine handles messages in their order: after any answer, all complaints are there.
            let nothing = Payload::from_built(r#"{"function_ids":["-"]}"#.to_owned());
            ask(up, "engine::functions::info", nothing).await?;
            return Ok(answers);
        }
        for query in queries {
            // An engine that does not let us look cannot confirm; that is no reason to stop.
            let (ids, query) = query;
            match ask(up.clone(), "engine::functions::info", query).await {
                Ok(answer) => answers.read_functions(&ids, &answer.unwrap_or_default()),
                Err(error) => tracing::warn!("the functions cannot be confirmed: {error}"),
            }
        }
        if has_triggers {
            let all = Payload::from_built(r#"{"include_internal":true}"#.to_owned());
            match ask(up, "engine::registered-triggers::list", all).await {
                Ok(answer) => answers.read_triggers(&answer.unwrap_or_default()),
                Err(error) => tracing::warn!("the triggers cannot be confirmed: {error}"),
            }
        }
        Ok(answers)
    }
}

/// Calls a function of the engine over this link only. The message is queued before the future is first polled.
fn ask(
    up: Up,
    function_id: &'static str,
    data: Payload,
) -> impl Future<Output = Result<Option<Payload>>> {
    let invocation_id = InvocationId::random();
    let waiting = up.pending.insert(invocation_id);
    let sent = up.outbox.send(Message::InvokeFunction(Box::new(InvokeFunction {
        invocation_id: Some(invocation_id),
        function_id: function_id.into(),
        data,
        caller: None,
        traceparent: None,
        baggage: None,
        action: None,
        metadata: None,
        namespace: Some(Namespace::default()),
    })));
    async move {
        let lost = || Error::new(code::CONNECTION_LOST, "the link to the engine was lost");
        let mut waiting = waiting.ok_or_else(lost)?;
        sent.map_err(|_| lost())?;
        match tokio::time::timeout(CONFIRM_TIMEOUT, waiting.answer()).await {
            Ok(answer) => answer.unwrap_or_else(|| Err(lost())),
            Err(_) => {
                let text = format!("`{function_id}` did not answer within {CONFIRM_TIMEOUT:?}");
                Err(Error::new(code::TIMEOUT, text))
            }
        }
    }
}

/// The error of an engine that does not let this worker in.
fn not_let_in(error: &ErrorBody) -> Error {
    Error::new(code::CONNECT_FAILED, format!("the engine does not let this worker in: {error}"))
}

/// Refusals as one error.
fn refused(verdict: &Verdict) -> Error {
    let lines: Vec<String> = verdict.refused.iter().map(place).collect();
    Error::new(code::REGISTRATION_REJECTED, lines.join("\n"))
}

fn place(refusal: &Refusal) -> String {
    match refusal.location {
        Some(location) => format!("{}\n   at {location}", refusal.text),
        None => refusal.text.clone(),
    }
}
