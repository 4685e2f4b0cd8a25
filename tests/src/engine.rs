//! An engine that does what a test says: it listens, confirms registrations, and nothing else by itself.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{Peer, within};

/// An engine by hand.
#[derive(Debug)]
pub struct FakeEngine {
    listener: TcpListener,
}

/// What came from a worker until it was ready.
#[derive(Debug)]
pub struct Script {
    /// The connection.
    pub peer: Peer,
    /// All messages in their order.
    pub messages: Vec<Value>,
}

impl FakeEngine {
    /// Listens on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port") }
    }

    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// If the address is taken.
    pub async fn on(addr: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(addr).await? })
    }

    /// Its address for workers.
    ///
    /// # Panics
    ///
    /// Never, once it listens.
    pub fn url(&self) -> String {
        format!("ws://{}", self.addr())
    }

    /// Its address.
    ///
    /// # Panics
    ///
    /// Never, once it listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    /// Takes the next connection, and introduces itself.
    ///
    /// # Panics
    ///
    /// If none comes in time.
    pub async fn accept(&self, worker_id: &str, token: &str) -> Peer {
        let socket = within("a worker", self.next_worker()).await;
        let mut peer = Peer::accepted(socket).await;
        peer.send(json!({
            "type": "workerregistered", "worker_id": worker_id, "reattach_token": token,
        }))
        .await;
        peer
    }

    /// The next connection of a worker. Those for telemetry are turned away.
    async fn next_worker(&self) -> TcpStream {
        const TELEMETRY: &[u8] = b"GET /otel";
        loop {
            let (socket, _) = self.listener.accept().await.expect("it listens");
            let mut first = [0; TELEMETRY.len()];
            while socket.peek(&mut first).await.is_ok_and(|read| 0 < read && read < first.len()) {
                tokio::task::yield_now().await;
            }
            if first != TELEMETRY {
                return socket;
            }
        }
    }

    /// Takes the next connection, and confirms what the worker registers, until it has asked for everything.
    ///
    /// # Panics
    ///
    /// If the worker does not do what is expected.
    pub async fn accept_and_confirm(&self, worker_id: &str, token: &str) -> Script {
        let peer = self.accept(worker_id, token).await;
        confirm(peer, |_| true).await
    }
}

/// Confirms what a worker registers; `has` says which triggers the engine admits to have.
///
/// # Panics
///
/// If the worker does not do what is expected.
pub async fn confirm(mut peer: Peer, has: impl Fn(&Value) -> bool) -> Script {
    let mut messages: Vec<Value> = Vec::new();
    let mut functions = 0;
    loop {
        let message = peer.next().await.expect("the worker goes on");
        messages.push(message.clone());
        match message["type"].as_str() {
            Some("registerfunction") => functions += 1,
            Some("invokefunction") => {}
            _ => continue,
        }
        let result = match message["function_id"].as_str() {
            Some("engine::workers::register") => json!({"success": true}),
            Some("engine::functions::info") => {
                let ids = message["data"]["function_ids"].as_array().expect("a list").iter();
                let infos: Vec<Value> = ids.map(|id| json!({"function_id": id})).collect();
                json!({ "functions": infos })
            }
            Some("engine::registered-triggers::list") => {
                let triggers = messages.iter().filter(|m| m["type"] == "registertrigger" && has(m));
                let list: Vec<Value> = triggers.map(|m| json!({"id": m["id"]})).collect();
                json!({ "registered_triggers": list })
            }
            _ => continue,
        };
        peer.send(json!({
            "type": "invocationresult", "invocation_id": message["invocation_id"],
            "function_id": message["function_id"], "result": result,
        }))
        .await;
        let has_triggers = messages.iter().any(|m| m["type"] == "registertrigger");
        let last = if has_triggers {
            "engine::registered-triggers::list"
        } else {
            "engine::functions::info"
        };
        if functions > 0 && message["function_id"] == last {
            return Script { peer, messages };
        }
    }
}
