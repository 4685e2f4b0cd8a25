//! The recordings: one JSON object a line, read into steps.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// A recorded scenario.
#[derive(Debug)]
pub struct Recording {
    /// The number that the file's name begins with: `03`.
    pub number: String,
    /// The steps by their line, the first line is 1. The first line, which tells what it is about, is none.
    pub(crate) steps: Vec<(usize, Step)>,
    /// The names of the scenario's own workers, topics, queues and bindings. The official engine was shared by all
    /// scenarios, and both engines have things of their own: lists are compared for these names only.
    pub(crate) own: BTreeSet<String>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Step {
    /// A connection of ours is opened, on an address of its own.
    Open(Socket, String),
    /// We sent something.
    Send(Socket, Frame),
    /// The engine sent something.
    Receive(Socket, Frame),
    /// Nothing more came.
    Silence(Socket),
    /// A connection ended.
    Closed(Socket, End),
    /// An HTTP request, and its answer if one came.
    Http(Value, Option<Value>),
    /// What the endpoint of an HTTP function received.
    Endpoint(Value),
}

/// What crossed a connection.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// A message.
    Json(Value),
    /// Text that is compared as it is.
    Text(String),
    /// So many bytes; which ones is not recorded.
    Binary(usize),
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// We closed it.
    ByUs,
    /// The engine did. The code is none if there was no close frame; 1005 is a close frame without a code.
    ByEngine(Option<u16>),
    /// The engine did not let us in, with this HTTP status.
    Refused(u16),
}

/// Which connection; the label is that of the recording.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Socket {
    Worker(String),
    Subscriber(String),
    Channel(String),
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Panics
    ///
    /// If the file is none.
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let mut steps: Vec<(usize, Step)> = Vec::new();
        for (index, line) in text.lines().enumerate().skip(1) {
            let line: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{name}:{}: {error}", index + 1));
            let step = Step::read(&line, &steps);
            steps.push((index + 1, step));
        }
        let mut own = BTreeSet::new();
        for (_, step) in &steps {
            let Step::Send(_, Frame::Json(message)) = step else { continue };
            let binding = (message["type"] == "registertrigger").then_some(&message["id"]);
            let worker = (message["function_id"] == "engine::workers::register")
                .then_some(&message["data"]["name"]);
            let topics = [
                &message["config"]["topic"],
                &message["data"]["topic"],
                &message["action"]["queue"],
            ];
            let names = topics.into_iter().chain(binding).chain(worker);
            own.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
        let number = name.split('_').next().unwrap_or_default().to_owned();
        Self { number, steps, own }
    }
}

impl Step {
    /// Reads a line; what has ended before tells who ended a connection.
    fn read(line: &Value, before: &[(usize, Self)]) -> Self {
        if !line["http"].is_null() {
            let answer = line.get("status").map(|_| line.clone());
            return Self::Http(line["http"].clone(), answer);
        }
        if !line["external_server_got"].is_null() {
            return Self::Endpoint(line["external_server_got"].clone());
        }
        let label = |key: &str| {
            line.get(key).map(|label| label.as_str().map_or(label.to_string(), str::to_owned))
        };
        let socket = label("worker")
            .map(Socket::Worker)
            .or_else(|| label("subscriber").map(Socket::Subscriber))
            .or_else(|| label("channel").map(Socket::Channel))
            .unwrap_or_else(|| panic!("a line of an unknown kind: {line}"));
        if let Some(path) = line["open"].as_str() {
            return Self::Open(socket, path.to_owned());
        }
        if line.get("note").is_some() {
            return Self::Silence(socket);
        }
        if let Some(refused) = line["refused"].as_str() {
            let status = refused.rsplit(' ').next().and_then(|status| status.parse().ok());
            return Self::Closed(socket, End::Refused(status.expect("an HTTP status")));
        }
        if line["dir"] == "closed" || line.get("closed").is_some() {
            return Self::Closed(socket, End::read(line, before));
        }
        let frame = match (line.get("json"), line["text"].as_str(), line["binary_len"].as_u64()) {
            (Some(json), ..) => Frame::Json(json.clone()),
            (None, Some(text), _) => Frame::Text(text.to_owned()),
            (None, None, Some(length)) => Frame::Binary(length.try_into().expect("it fits")),
            (None, None, None) => panic!("a line without a frame: {line}"),
        };
        match line["dir"].as_str() {
            Some("to_engine") => Self::Send(socket, frame),
            Some("from_engine") => Self::Receive(socket, frame),
            _ => panic!("a line without a direction: {line}"),
        }
    }

    /// Whether it is something that we began, not an answer to what the engine sent.
    pub(crate) fn is_begun_by_us(&self) -> bool {
        match self {
            Self::Send(_, Frame::Json(message)) => !matches!(
                message["type"].as_str(),
                Some("invocationresult" | "triggerregistrationresult")
            ),
            Self::Receive(..) | Self::Endpoint(_) => false,
            Self::Open(..)
            | Self::Send(..)
            | Self::Silence(_)
            | Self::Closed(..)
            | Self::Http(..) => true,
        }
    }

    /// The connection that it happened on.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Open(socket, _)
            | Self::Send(socket, _)
            | Self::Receive(socket, _)
            | Self::Silence(socket)
            | Self::Closed(socket, _) => Some(socket),
            Self::Http(..) | Self::Endpoint(_) => None,
        }
    }
}

impl End {
    /// The recorder tells the end in the words of its WebSocket library: our own close has a close frame that was
    /// sent (code 1000), a lost connection has none. A reader of a channel is closed by the engine, a writer by us.
    fn read(line: &Value, before: &[(usize, Step)]) -> Self {
        let told = line["error"].as_str().or(line["closed"].as_str());
        if let Some(told) = told {
            return match told.contains("CloseCode") {
                true => Self::ByUs,
                false => Self::ByEngine(None),
            };
        }
        let code = line["code"].as_u64().or(line["closed"].as_u64());
        let code = code.and_then(|code| u16::try_from(code).ok());
        let sent = |(_, step): &(usize, Step)| matches!(step, Step::Send(Socket::Channel(label), _) if *label == line["channel"]);
        match before.iter().any(sent) {
            true => Self::ByUs,
            false => Self::ByEngine(code),
        }
    }
}
