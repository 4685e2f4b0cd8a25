//! A program that is started, watched by its output, and stopped by signals.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::within;

/// A running program. It is killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts a program with environment variables. Nothing that begins with `III_` is inherited.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(path: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("III_")) {
            command.env_remove(name);
        }
        let mut child = command
            .envs(variables.iter().copied())
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect(path);
        let (sender, lines) = mpsc::unbounded_channel();
        forward(child.stdout.take().expect("it is piped"), sender.clone());
        forward(child.stderr.take().expect("it is piped"), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that contains some text, on either output. Earlier lines count.
    ///
    /// # Panics
    ///
    /// If the program ends first.
    pub async fn line(&mut self, text: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        // One deadline for all: what else is printed meanwhile must not keep a test alive.
        let found = within(text, async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push(line.clone());
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        });
        match found.await {
            Some(line) => line,
            None => panic!("the program ended without `{text}`:\n{}", self.seen.join("\n")),
        }
    }

    /// Waits for the line of the start-up report that tells an address: `http     http://127.0.0.1:3111`.
    ///
    /// # Panics
    ///
    /// If the program ends first.
    pub async fn address(&mut self, label: &str) -> SocketAddr {
        let line = self.line(&format!("  {label:8} ")).await;
        let (_, address) = line.rsplit_once("//").expect("the line has an address");
        address.trim().parse().expect("the line ends with an address")
    }

    /// Sends a signal, by its name.
    ///
    /// # Panics
    ///
    /// If the program is gone.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("the program runs");
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await;
        assert!(sent.expect("kill is there").success());
    }

    /// How much memory the program takes, in bytes, where the system tells.
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Waits until the program has ended, and gives its status and all it has printed.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = within("the end of the program", self.child.wait()).await.expect("it ran");
        while let Some(line) = self.lines.recv().await {
            self.seen.push(line);
        }
        (status, self.seen)
    }
}

fn forward(output: impl AsyncRead + Unpin + Send + 'static, lines: mpsc::UnboundedSender<String>) {
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
