//! One end of a worker connection that speaks JSON by hand.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::within;

/// One end of a worker connection: an engine's or a worker's.
#[derive(Debug)]
pub struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// How a connection was ended by the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The close code; `None`: without a word.
    pub code: Option<u16>,
    /// Why.
    pub reason: String,
}

impl Peer {
    /// Connects to an engine and introduces itself as a worker.
    ///
    /// # Panics
    ///
    /// If the engine does not want it.
    pub async fn named(url: &str, name: &str) -> Self {
        let mut peer = Self::connect(url).await;
        peer.next_of("workerregistered").await;
        let said = json!({"name": name, "pid": 1});
        peer.call("engine::workers::register", said).await.expect("the engine wants it");
        peer
    }

    /// Registers a function.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn function(&mut self, id: &str) {
        self.send(json!({"type": "registerfunction", "id": id})).await;
    }

    /// Registers a trigger.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn bind(&mut self, id: &str, kind: &str, function: &str, config: Value) {
        self.send(json!({
            "type": "registertrigger", "id": id, "trigger_type": kind, "function_id": function,
            "config": config,
        }))
        .await;
    }

    /// Waits until the engine has handled what was sent: it handles the messages of a connection in their order.
    ///
    /// # Panics
    ///
    /// If the connection ends.
    pub async fn settled(&mut self) {
        self.send(json!({"type": "ping"})).await;
        self.next_of("pong").await;
    }

    /// Answers a call.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn answer(&mut self, call: &Value, result: Value) {
        self.send(json!({
            "type": "invocationresult", "invocation_id": call["invocation_id"],
            "function_id": call["function_id"], "result": result,
        }))
        .await;
    }

    /// Answers the next call of this worker, and gives it back.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn serve(&mut self, result: Value) -> Value {
        let call = self.next_of("invokefunction").await;
        self.answer(&call, result).await;
        call
    }

    /// Begins a call, whose answer is not waited for.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn start(&mut self, function_id: &str, data: Value) {
        self.send(json!({
            "type": "invokefunction", "invocation_id": uuid(), "function_id": function_id,
            "data": data,
        }))
        .await;
    }

    /// Sends one message in frames of so many bytes. The end of the connection is no failure: it may be what is tested.
    pub async fn send_in_frames(&mut self, text: &str, size: usize) {
        let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
        for (n, piece) in pieces.iter().enumerate() {
            let kind = if n == 0 { Data::Text } else { Data::Continue };
            let last = n + 1 == pieces.len();
            let frame = RawFrame::message(piece.to_vec(), OpCode::Data(kind), last);
            if self.socket.send(Frame::Frame(frame)).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the other side ends the connection; what it sends before is passed over.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    pub async fn ended(&mut self) -> Ended {
        within("the end of the connection", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Frame::Close(Some(close)))) => {
                        let (code, reason) = (close.code.into(), close.reason.to_string());
                        return Ended { code: Some(code), reason };
                    }
                    Some(Ok(Frame::Close(None)) | Err(_)) | None => {
                        return Ended { code: None, reason: String::new() };
                    }
                    Some(Ok(_)) => {}
                }
            }
        })
        .await
    }

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

    /// Sends a message to an engine that may end the connection; `false` if it has.
    pub async fn try_send(&mut self, message: Value) -> bool {
        self.socket.send(Frame::text(message.to_string())).await.is_ok()
    }

    /// Sends a frame of a kind that WebSockets do not have (RFC 6455, section 11.8).
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn send_reserved(&mut self) {
        let frame = RawFrame::message("x", OpCode::Data(Data::Reserved(3)), true);
        self.socket.send(Frame::Frame(frame)).await.expect("the connection is open");
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
