//! The life of a worker: connect, register, confirm, serve, come back, drain.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::conflict::Conflict;
use super::dispatch::Dispatcher;
use super::leaving::{Leaving, done, warn_of_last_words};
use super::provider::Provider;
use super::registration::{Identity, Refusal, Registrations, Verdict};
use super::serving::{Failure, Serving, refused};
use crate::session::{ConnectionState, Session};
use crate::time::Backoff;
use iii_wire::protocol::WorkerId;
use iii_wire::transport::{ConnectError, Connection};
use iii_wire::{Error, Result, code};

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
        self.worker.session.readiness().set_draining();
        self.worker.session.bindings().close();
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
                    self.worker.session.set_disconnected(if first {
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
    async fn connect(&mut self) -> Result<Option<Connection>, ConnectError> {
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
        self.worker.session.readiness().set_draining();
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
        self.worker.session.set_disconnected(ConnectionState::Disconnected);
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
        self.worker.session.set_disconnected(ConnectionState::Failed);
        self.worker.dispatcher.abort();
        match self.ready.take() {
            Some(ready) => drop(ready.send(Err(error))),
            None => {
                tracing::error!("the worker has failed: {error}");
                if let Some(failing) = self.failing.take() {
                    let text = error.message().to_owned();
                    let _ = failing.send(Error::new(code::EVICTED, text).with_source(error));
                }
            }
        }
    }

    /// Serves one link until its end.
    async fn serve(&mut self, link: Connection) -> End {
        let Connection { outbox, mut inbox } = link;
        let mut serving = Serving::begin(&self.worker, outbox.clone(), self.previous);
        let dispatcher = self.worker.dispatcher.clone();
        let end = loop {
            tokio::select! {
                biased;
                message = inbox.next() => match message {
                    None => break self.ended(&serving),
                    Some(message) => {
                        if let Some(error) = serving.take(message, &mut self.leaving) {
                            break End::Failed(error);
                        }
                    }
                },
                verdict = serving.verdict(self.leaving.begun()) => match verdict {
                    Err(error) => break End::Failed(error),
                    Ok(verdict) => if let Some(error) = self.confirmed(verdict) {
                        break End::Failed(error);
                    }
                },
                control = self.control.recv() => if self.told(control) {
                    serving.take_back();
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
        if let Some(introduced) = serving.introduced() {
            self.previous = Some(introduced);
        }
        if !matches!(end, End::Lost) {
            outbox.close(Some(1000));
            let emptied = async { while inbox.next().await.is_some() {} };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, emptied).await;
        }
        end
    }

    /// What the end of a link means that the other side has closed.
    fn ended(&self, serving: &Serving) -> End {
        match serving.failure() {
            Some(Failure::Registrations(error)) => End::Failed(error),
            // There is no use in asking again to be let in; but a worker that was in before waits for better times.
            Some(Failure::NotLetIn { error, is_final: true }) if self.previous.is_none() => {
                End::Failed(error)
            }
            _ if self.leaving.begun() => End::Left,
            _ => End::Lost,
        }
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
            self.worker.session.readiness().set_confirmed(texts);
            tracing::info!("connected to {} again", self.worker.session.engine());
            return None;
        };
        if verdict.refused.is_empty() {
            self.worker.session.readiness().set_confirmed(Vec::new());
            let _ = ready.send(Ok(Started { waiting: verdict.waiting }));
            return None;
        }
        self.ready = Some(ready);
        Some(refused(&verdict))
    }
}
