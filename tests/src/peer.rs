//! One end of a worker connection that speaks JSON by hand.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::within;

/// One end of a worker connection: an engine's or a worker's.
#[derive(Debug)]
pub struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Peer {
    /// Connects to an engine.
    ///
    /// # Panics
    ///
    /// If nobody listens.
    pub async fn connect(url: &str) -> Self {
        let (socket, _) =
            within("the handshake", tokio_tungstenite::connect_async(url)).await.expect(url);
        Self { socket }
    }

    /// The engine's end of a connection that a worker opens.
    ///
    /// # Panics
    ///
    /// If it is no WebSocket.
    pub async fn accepted(socket: TcpStream) -> Self {
        let socket = MaybeTlsStream::Plain(socket);
        let socket = tokio_tungstenite::accept_async(socket).await.expect("a WebSocket");
        Self { socket }
    }

    /// Sends a message.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends text as it is.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Frame::text(text)).await.expect("the connection is open");
    }

    /// The next message; `None` when the connection has ended.
    ///
    /// # Panics
    ///
    /// If nothing comes in time.
    pub async fn next(&mut self) -> Option<Value> {
        // One deadline for all: the pings of a quiet connection must not keep a test alive.
        within("a message", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Frame::Text(text))) => {
                        return Some(serde_json::from_str(&text).expect("messages are JSON"));
                    }
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                    _ => return None,
                }
            }
        })
        .await
    }

    /// Waits for the end of the connection; the code of the close frame, if one comes.
    ///
    /// # Panics
    ///
    /// If nothing comes in time.
    pub async fn close_code(&mut self) -> Option<u16> {
        within("the end of the connection", async {
            while let Some(Ok(frame)) = self.socket.next().await {
                if let Frame::Close(close) = frame {
                    return close.map(|close| close.code.into());
                }
            }
            None
        })
        .await
    }

    /// The next message that has a type; others are passed over.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        while let Some(message) = self.next().await {
            if message["type"] == kind {
                return message;
            }
        }
        panic!("the connection ended before a `{kind}` message came");
    }

    /// Calls a function and waits for the answer; other messages are passed over.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn call(&mut self, function_id: &str, data: Value) -> Result<Value, Value> {
        let answer = self.try_call(function_id, data).await;
        answer.unwrap_or_else(|| panic!("the connection ended before `{function_id}` was answered"))
    }

    /// Calls a function of an engine that may go away; `None` if it is gone.
    ///
    /// # Panics
    ///
    /// If nothing comes in time.
    pub async fn try_call(
        &mut self,
        function_id: &str,
        data: Value,
    ) -> Option<Result<Value, Value>> {
        let id = uuid();
        let call = json!({
            "type": "invokefunction", "invocation_id": id, "function_id": function_id, "data": data,
        });
        self.socket.send(Frame::text(call.to_string())).await.ok()?;
        loop {
            let answer = self.next().await?;
            if answer["type"] == "invocationresult" && answer["invocation_id"] == id.as_str() {
                return Some(match answer.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(answer["result"].clone()),
                });
            }
        }
    }

    /// Closes the connection properly and waits until the engine has closed it too.
    pub async fn close(mut self) {
        if self.socket.close(None).await.is_ok() {
            within("the end of the connection", async {
                while self.socket.next().await.is_some_and(|frame| frame.is_ok()) {}
            })
            .await;
        }
    }

    /// Closes the connection as a crash would: without a word.
    pub fn crash(self) {
        drop(self);
    }
}

/// A new id, made of the time and a counter: unique in a test run, and that is enough.
fn uuid() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-{count:012x}")
}
