//! Tests of the program `iii`: it starts, serves, says what is wrong, and stops when it is told to.

#[path = "cli/catalogue.rs"]
mod catalogue;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// The program with nothing of this process's environment that could matter.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iii"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("III_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
    command
}

fn ended(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// An engine that runs, with what it has printed. Killed at the end if it still runs.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    facts: Vec<(String, String)>,
}

impl Running {
    fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = program(args).envs(variables.iter().copied()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, concat!("iii ", env!("CARGO_PKG_VERSION"), " is ready\n"));
        let mut facts = Vec::new();
        while facts.last().is_none_or(|(name, _)| name != "stores") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "it tells of its stores");
            let (name, fact) = line.trim().split_once(' ').unwrap();
            facts.push((name.to_owned(), fact.trim().to_owned()));
        }
        Self { child, out, facts }
    }

    fn fact(&self, wanted: &str) -> &str {
        &self.facts.iter().find(|(name, _)| name == wanted).expect("it is told").1
    }

    /// Tells it to stop, and waits until it has. What it printed.
    fn stop(mut self, signal: &str) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls a function as a worker would, which has a name of its own: the one before may still be there.
async fn call(url: &str, function: &str, data: Value) -> Value {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let id = uuid::Uuid::new_v4();
    let name = id.to_string();
    let calls = [
        json!({"type": "invokefunction", "function_id": "engine::workers::register",
            "invocation_id": uuid::Uuid::new_v4(), "data": {"runtime": "t", "version": "1", "name": name}}),
        json!({"type": "invokefunction", "function_id": function, "invocation_id": id, "data": data}),
    ];
    for call in calls {
        socket.send(Message::text(call.to_string())).await.unwrap();
    }
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let answer: Value = serde_json::from_str(&text).unwrap();
        if answer["invocation_id"] == json!(id) {
            assert!(answer["error"].is_null(), "{answer}");
            return answer["result"].clone();
        }
    }
}

fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("iii-cli-{}", uuid::Uuid::new_v4()))
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    let ports = ["engine", "--worker-port", "0", "--http-port", "0", "--stream-port", "0"];
    for signal in ["-TERM", "-INT"] {
        let engine = Running::start(&ports, &[]);
        assert!(engine.fact("stores").starts_with("in memory"));
        let workers = engine.fact("workers").to_owned();
        let place = json!({"scope": "s", "key": "k", "value": 1});
        call(&workers, "state::set", place.clone()).await;
        assert_eq!(call(&workers, "state::get", place).await, json!(1));
        let http = engine.fact("http").strip_prefix("http://").unwrap().to_owned();
        let mut request = TcpStream::connect(&http).unwrap();
        request.write_all(b"GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        request.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(engine.stop(signal).contains("stopping"));
        assert!(TcpStream::connect(&http).is_err());
    }
}

#[tokio::test]
async fn a_data_directory_survives_a_kill() {
    let directory = directory();
    let file = std::env::temp_dir().join(format!("iii-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(
        &file,
        "workers:\n  - name: iii-worker-manager\n    config: { port: ${III_PORT:0} }\n  - name: iii-state\n    config:\n      \
         adapter: { name: kv, config: { store_method: file_based, file_path: '${III_TEST_DIR}' } }\n",
    )
    .unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let args = ["engine", "--config", file.to_str().unwrap()];
    let variables = [("III_TEST_DIR", directory.to_str().unwrap())];
    let place = json!({"scope": "s", "key": "k", "value": {"a": 1}});
    let mut engine = Running::start(&args, &variables);
    assert_eq!(engine.fact("stores"), format!("in {}", directory.display()));
    assert!(!engine.facts.iter().any(|(name, _)| name == "http"), "the file does not list it");
    call(engine.fact("workers"), "state::set", place.clone()).await;
    let second = program(&["engine", "--worker-port", "0", "--http-port", "0"])
        .env("III_DATA_DIR", &directory)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.starts_with("error: ") && told.contains("used by another engine"), "{told}");
    engine.child.kill().unwrap();
    drop(engine);
    let engine = Running::start(&args, &variables);
    assert_eq!(call(engine.fact("workers"), "state::get", place).await, json!({"a": 1}));
    engine.stop("-TERM");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the file is never written");
    let _ = std::fs::remove_dir_all(directory);
    let _ = std::fs::remove_file(file);
}

#[test]
fn mistakes_are_told_and_end_with_status_1() {
    let file = std::env::temp_dir().join(format!("iii-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(&file, "workers:\n  - name: iii-http\n    config:\n      prot: 1\n").unwrap();
    let file = file.to_str().unwrap();
    for (args, part) in [
        (&["engine", "--config", file][..], "line 4: `iii-http` has no setting `prot`"),
        (&["engine", "--config", "/no/such.yaml"], "/no/such.yaml"),
        (&["engine", "--http-port", "70000"], "70000"),
        (&["engine", "--nonsense"], "--nonsense"),
        (&["serve"], "serve"),
        (
            &["engine", "--worker-port", "0", "--http-port", "0", "--data-dir", file],
            "data directory",
        ),
    ] {
        let (status, out, told) = ended(args);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.starts_with("error: ") && told.contains(part), "{told}");
    }
    let bad = program(&["engine"]).env("III_STREAM_PORT", "x").output().unwrap();
    assert!(String::from_utf8(bad.stderr).unwrap().contains("III_STREAM_PORT is `x`"));
    let _ = std::fs::remove_file(file);
}

#[test]
fn help_and_version_are_printed() {
    let (status, help, _) = ended(&["engine", "--help"]);
    assert_eq!(status, Some(0));
    for fact in [
        "--config",
        "--data-dir",
        "--host",
        "49134",
        "3111",
        "3112",
        "III_DATA_DIR",
        "III_STREAM_PORT",
    ] {
        assert!(help.contains(fact), "{help}");
    }
    assert_eq!(ended(&[]).1, help);
    let version = concat!("iii ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(ended(&["--version"]).1, version);
}
