//! The replay of a recording: one raw connection for each label, step by step, noting what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use iii::engine::{Engine, HttpFunctionSettings, NamedQueue, QueueKind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::claim::{brief, claim, row, similar};
use super::compare::{Comparison, Found};
use super::differences::{Difference, Known, verdict};
use super::endpoint::{self, Endpoint};
use super::ids::Ids;
use super::plan::{arranged, recorded_answer, request_that_starts};
use super::probe::not_yet;
use super::recording::{End, Frame, Recording, Socket, Step};
use super::request::{answer, ask};
use super::socket::Connection;
use super::tables::{NotYet, Until};

/// How long a step may take that is not known to be missing. Only a difference takes so long.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where the recorder's engine served HTTP triggers.
const RECORDED_HTTP: &str = "127.0.0.1:3111";

/// What a replay has found.
#[derive(Debug)]
pub struct Outcome {
    /// All differences, in the order of the recording.
    pub differences: Vec<Difference>,
    /// What was not replayed.
    pub skipped: Vec<&'static NotYet>,
    /// Whether exactly the meant differences occurred; the error names those that are too much or too little.
    pub verdict: Result<(), String>,
}

/// Replays a recording against an engine of its own.
///
/// # Panics
///
/// If the engine cannot be started, or stops to answer.
pub async fn replay(recording: &Recording, known: &Known) -> Outcome {
    // The queue and the rules that the recordings name (README).
    let payments = NamedQueue {
        kind: QueueKind::Fifo,
        max_retries: 2,
        concurrency: 2,
        message_group_field: Some("order_id".to_owned()),
        backoff_ms: 200,
        ..NamedQueue::default()
    };
    let http_functions = HttpFunctionSettings {
        require_https: false,
        url_allowlist: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        block_private_ips: false,
        ..HttpFunctionSettings::default()
    };
    let mut builder = Engine::builder();
    builder.http_functions(http_functions).worker_port(0).http_port(0).stream_port(0);
    builder.http_timeout(2 * PATIENCE).queue("payments", payments);
    let engine = builder.start().await.expect("an engine");
    let workers = engine.worker_addr().expect("it listens");
    let http = engine.http_addr().expect("it listens");
    let endpoint = Endpoint::start().await;
    let mut ids = Ids::default();
    ids.text(RECORDED_HTTP, http.to_string());
    ids.text(endpoint::RECORDED, endpoint.addr.to_string());
    let skipped = not_yet(&recording.number, workers).await;
    let lacking: Vec<&str> = skipped
        .iter()
        .map(|entry| match entry.until {
            Until::Function(function) => function,
        })
        .collect();
    let known = &known.without(&lacking);
    let mut replay = Replay {
        recording,
        known,
        skipped,
        ids,
        addresses: Addresses { workers, http, streams: engine.stream_addr() },
        endpoint,
        connections: BTreeMap::new(),
        refused: BTreeMap::new(),
        unsettled: BTreeSet::new(),
        order: BTreeMap::new(),
        differences: Vec::new(),
    };
    replay.run().await;
    let mut differences = replay.differences;
    differences.sort();
    let verdict = verdict(&recording.number, known, &differences);
    let outcome = Outcome { differences, skipped: replay.skipped, verdict };
    engine.stop().await;
    outcome
}

/// Where the engine listens.
#[derive(Debug)]
struct Addresses {
    workers: SocketAddr,
    http: SocketAddr,
    streams: Option<SocketAddr>,
}

struct Replay<'a> {
    recording: &'a Recording,
    known: &'a Known,
    skipped: Vec<&'static NotYet>,
    ids: Ids,
    addresses: Addresses,
    endpoint: Endpoint,
    connections: BTreeMap<Socket, Connection>,
    /// Connections that the engine did not accept, with the HTTP status.
    refused: BTreeMap<Socket, u16>,
    /// Connections on which something was sent that the engine may not have handled yet.
    unsettled: BTreeSet<Socket>,
    /// The number of the latest frame that was claimed on each connection, among those that have an order: see
    /// [`row`].
    order: BTreeMap<(Socket, String), usize>,
    differences: Vec<Difference>,
}

impl Replay<'_> {
    async fn run(&mut self) {
        let steps = arranged(self.recording);
        let mut requests: BTreeMap<usize, JoinHandle<Value>> = BTreeMap::new();
        let mut started = BTreeSet::new();
        for (index, (line, step)) in steps.iter().enumerate() {
            if self.is_skipped(*line) {
                continue;
            }
            let starts = request_that_starts(&steps, index);
            if let Some((line, request)) = starts.filter(|(line, _)| started.insert(*line)) {
                self.settle(None).await;
                let request = ask(self.addresses.http, request.clone());
                requests.insert(line, tokio::spawn(request));
            }
            if step.is_begun_by_us() {
                self.settle(step.socket()).await;
            }
            match step {
                Step::Open(socket, path) => self.open(socket, path).await,
                Step::Send(socket, frame) => self.send(socket, frame).await,
                Step::Receive(socket, frame) => self.receive(*line, socket, frame).await,
                Step::Silence(socket) => self.silence(*line, socket).await,
                Step::Closed(socket, end) => self.closed(*line, socket, end).await,
                Step::Http(_, recorded) => {
                    let request = requests.remove(line).expect("it was started");
                    self.answer_extra(*line).await;
                    let ours = request.await.expect("an answer");
                    self.answered(*line, recorded.as_ref(), &ours);
                }
                Step::Endpoint(recorded) => self.endpoint(*line, recorded).await,
            }
        }
        let last = self.recording.steps.last().map_or(0, |(line, _)| *line);
        let open: Vec<Socket> = self.connections.keys().cloned().collect();
        for socket in open {
            self.silence(last, &socket).await;
        }
    }

    fn is_skipped(&self, line: usize) -> bool {
        self.skipped.iter().any(|entry| entry.path.is_none() && entry.lines.contains(&line))
    }

    /// Waits until the engine has handled all that was sent, on the other connections than the one that goes on.
    async fn settle(&mut self, except: Option<&Socket>) {
        let unsettled = std::mem::take(&mut self.unsettled);
        for socket in unsettled {
            if Some(&socket) == except {
                self.unsettled.insert(socket);
            } else if let Some(connection) = self.connections.get_mut(&socket) {
                connection.barrier().await;
            }
        }
    }

    async fn open(&mut self, socket: &Socket, path: &str) {
        let addr = match socket {
            Socket::Worker(_) | Socket::Channel(_) => self.addresses.workers,
            Socket::Subscriber(_) => self.addresses.streams.expect("streams are served"),
        };
        let path = self.ids.to_ours(path);
        match Connection::open(&format!("ws://{addr}{path}")).await {
            Ok(connection) => {
                self.connections.insert(socket.clone(), connection);
            }
            Err(status) => {
                self.refused.insert(socket.clone(), status);
            }
        }
    }

    /// The connection of a label, opened when it is first named. None when it was refused.
    async fn connection(&mut self, socket: &Socket) -> Option<&mut Connection> {
        if !self.connections.contains_key(socket) && !self.refused.contains_key(socket) {
            self.settle(None).await;
            self.open(socket, "/").await;
        }
        self.connections.get_mut(socket)
    }

    async fn send(&mut self, socket: &Socket, frame: &Frame) {
        let frame = match frame {
            Frame::Json(message) => {
                let is_answer = message["type"] == "invocationresult";
                let id = message["invocation_id"].as_str().unwrap_or_default();
                if is_answer && !self.ids.knows(id) {
                    // The engine never asked; that is a difference already.
                    return;
                }
                self.ids.own(message);
                let text = self.ids.to_ours(&message.to_string());
                Frame::Json(serde_json::from_str(&text).expect("it was JSON"))
            }
            other => other.clone(),
        };
        let is_worker = matches!(socket, Socket::Worker(_));
        let Some(connection) = self.connection(socket).await else { return };
        connection.send(frame).await;
        if is_worker {
            self.unsettled.insert(socket.clone());
        }
    }

    async fn receive(&mut self, line: usize, socket: &Socket, recorded: &Frame) {
        let instead = self.known.instead(&self.recording.number, line, "function_id");
        let patience = match self.known.is_missing(&self.recording.number, line) {
            true => Duration::ZERO,
            false => PATIENCE,
        };
        if self.connection(socket).await.is_none() {
            return self.note(line, "missing");
        }
        if patience.is_zero() {
            self.settle(None).await;
        }
        let waited = timeout(patience, async {
            loop {
                let connection = self.connections.get_mut(socket)?;
                let (waiting, own) = (&connection.waiting, &self.recording.own);
                match claim(waiting, recorded, instead.as_deref(), &self.ids, own) {
                    // What must be missing is not mixed up with something similar.
                    Some((index, is_exact)) if is_exact || !patience.is_zero() => {
                        return Some(index);
                    }
                    _ => {}
                }
                if !connection.arrive().await {
                    return None;
                }
            }
        });
        let claimed = waited.await.ok().flatten();
        let claimed = match (claimed, patience.is_zero()) {
            (None, false) => {
                self.connections.get(socket).and_then(|one| similar(&one.waiting, recorded))
            }
            (claimed, _) => claimed,
        };
        let Some(index) = claimed else { return self.note(line, "missing") };
        let connection = self.connections.get_mut(socket).expect("it is open");
        let (number, frame) = connection.waiting.remove(index);
        let latest = self.order.entry((socket.clone(), row(recorded))).or_default();
        if number < *latest {
            self.note(line, "order");
        } else {
            *latest = number;
        }
        match (recorded, self.normal(frame)) {
            (Frame::Json(recorded), Frame::Json(ours)) => self.compare(line, recorded, &ours),
            (Frame::Text(recorded), Frame::Text(ours)) if *recorded == ours => {}
            (Frame::Text(recorded), Frame::Json(ours))
                if serde_json::from_str::<Value>(recorded).is_ok_and(|value| value == ours) => {}
            (Frame::Binary(recorded), Frame::Binary(ours)) if *recorded == ours => {}
            (_, ours) => self.note(line, format!("frame = {ours:?}")),
        }
    }

    /// Answers the calls that are known to be more than was recorded, as the recorder's handlers answered others.
    async fn answer_extra(&mut self, line: usize) {
        let recording = self.recording;
        for function in self.known.extra_calls(&recording.number, line) {
            let call = |frame: &Frame| match frame {
                Frame::Json(message) if message["type"] == "invokefunction" => {
                    message["function_id"] == function.as_str()
                }
                _ => false,
            };
            let Some((socket, recorded)) = recorded_answer(recording, &function) else { continue };
            let Some(connection) = self.connections.get_mut(socket) else { continue };
            let arrived = timeout(PATIENCE, async {
                loop {
                    let found = connection.waiting.iter().position(|(_, frame)| call(frame));
                    match found {
                        Some(index) => break Some(connection.waiting.remove(index).1),
                        None if connection.arrive().await => {}
                        None => break None,
                    }
                }
            });
            if let Ok(Some(Frame::Json(message))) = arrived.await {
                let mut answer = recorded.clone();
                answer["invocation_id"] = message["invocation_id"].clone();
                connection.send(Frame::Json(answer)).await;
                self.note(line, format!("extra invokefunction {function}"));
            }
        }
    }

    async fn silence(&mut self, line: usize, socket: &Socket) {
        self.settle(None).await;
        let Some(connection) = self.connections.get_mut(socket) else { return };
        if matches!(socket, Socket::Worker(_)) {
            // A second round lets those come to an end that the first has begun.
            connection.barrier().await;
            connection.barrier().await;
        }
        let waiting = std::mem::take(&mut connection.waiting);
        for (_, frame) in waiting {
            let brief = match self.normal(frame) {
                Frame::Json(message) => brief(&self.ids.told(&message)),
                frame => format!("{frame:?}"),
            };
            self.note(line, format!("extra {brief}"));
        }
    }

    async fn closed(&mut self, line: usize, socket: &Socket, end: &End) {
        match end {
            End::ByUs => {
                self.silence(line, socket).await;
                if let Some(connection) = self.connections.get_mut(socket) {
                    connection.close().await;
                }
            }
            End::ByEngine(recorded) => {
                let Some(connection) = self.connections.get_mut(socket) else { return };
                let ended = timeout(PATIENCE, async { while connection.arrive().await {} });
                match ended.await.ok().and(connection.ended) {
                    Some(ours) if ours == *recorded => {}
                    Some(Some(code)) => self.note(line, format!("closed = {code}")),
                    Some(None) => self.note(line, "closed absent"),
                    None => self.note(line, "missing"),
                }
            }
            End::Refused(recorded) => match self.refused.get(socket) {
                Some(ours) if ours == recorded => {}
                Some(ours) => self.note(line, format!("refused = {ours}")),
                None => self.note(line, "missing"),
            },
        }
        self.unsettled.remove(socket);
    }

    fn answered(&mut self, line: usize, recorded: Option<&Value>, ours: &Value) {
        let text = self.ids.to_recorded(&ours.to_string());
        let ours: Value = serde_json::from_str(&text).expect("it was JSON");
        match recorded {
            Some(recorded) => self.compare(line, &answer(recorded), &ours),
            None => self.note(line, format!("answer = {}", ours["status"])),
        }
    }

    async fn endpoint(&mut self, line: usize, recorded: &Value) {
        match timeout(PATIENCE, self.endpoint.requests.recv()).await.ok().flatten() {
            Some(ours) => {
                let text = self.ids.to_recorded(&ours.to_string());
                let ours: Value = serde_json::from_str(&text).expect("it was JSON");
                self.compare(line, &endpoint::received(recorded), &ours);
            }
            None => self.note(line, "missing"),
        }
    }

    fn compare(&mut self, line: usize, recorded: &Value, ours: &Value) {
        // The answers of these functions are lists without an order.
        let key = match recorded["function_id"].as_str() {
            Some("engine::queue::list_topics") => "list_topics",
            Some("engine::queue::dlq_topics") => "dlq_topics",
            _ => "result",
        };
        let mut comparison =
            Comparison { ids: &mut self.ids, own: &self.recording.own, found: Vec::new() };
        match (&recorded["result"], &ours["result"]) {
            (Value::Array(items), Value::Array(others)) if key != "result" => {
                comparison.values("result", key, &json!(items), &json!(others));
            }
            _ => comparison.values("", "", recorded, ours),
        }
        for (path, found) in comparison.found {
            self.differs(line, (path, found));
        }
    }

    fn differs(&mut self, line: usize, (path, found): Found) {
        let is_left_out = self.skipped.iter().any(|entry| {
            entry.lines.contains(&line)
                && entry.path.is_some_and(|left_out| path.starts_with(left_out))
        });
        if !is_left_out {
            let number = &self.recording.number;
            self.differences.push(Difference::at(number, line, &path, found.as_ref()));
        }
    }

    fn note(&mut self, line: usize, what: impl Into<String>) {
        self.differences.push(Difference::whole(&self.recording.number, line, what));
    }

    /// A frame of ours with the addresses of the recording.
    fn normal(&self, frame: Frame) -> Frame {
        match frame {
            Frame::Json(message) => {
                let text = self.ids.to_recorded(&message.to_string());
                Frame::Json(serde_json::from_str(&text).expect("it was JSON"))
            }
            other => other,
        }
    }
}
