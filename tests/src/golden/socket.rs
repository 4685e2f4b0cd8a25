//! A connection of a replay: what it received waits until a step of the recording claims it.

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::recording::Frame;
use crate::within;

type Link = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection to the engine.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SplitSink<Link, Message>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    /// What came and was not claimed, with its number.
    pub(crate) waiting: Vec<(usize, Frame)>,
    /// How much came.
    count: usize,
    /// That it has ended, and the code of the close frame if there was one.
    pub(crate) ended: Option<Option<u16>>,
}

#[derive(Debug)]
enum Arrival {
    Frame(Frame),
    End(Option<u16>),
}

impl Connection {
    /// Opens a connection, or tells the HTTP status with which it was refused.
    pub(crate) async fn open(url: &str) -> Result<Self, u16> {
        let opened = within("the handshake", tokio_tungstenite::connect_async(url)).await;
        let link = match opened {
            Ok((link, _)) => link,
            Err(Error::Http(answer)) => return Err(answer.status().as_u16()),
            Err(error) => panic!("{url}: {error}"),
        };
        let (sender, mut receiver) = link.split();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let code = loop {
                let frame = match receiver.next().await {
                    Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                        Ok(value) => Frame::Json(value),
                        Err(_) => Frame::Text(text.to_string()),
                    },
                    Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes.len()),
                    // 1005 is the word of the protocol for a close frame without a code.
                    Some(Ok(Message::Close(close))) => {
                        break Some(close.map_or(1005, |close| close.code.into()));
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => break None,
                };
                if arrived.send(Arrival::Frame(frame)).is_err() {
                    return;
                }
            };
            // Going on answers the close frame.
            while receiver.next().await.is_some() {}
            let _ = arrived.send(Arrival::End(code));
        });
        Ok(Self { sender, arrivals, waiting: Vec::new(), count: 0, ended: None })
    }

    /// Sends a frame; one that the engine no longer takes is lost.
    pub(crate) async fn send(&mut self, frame: Frame) {
        let message = match frame {
            Frame::Json(value) => Message::text(value.to_string()),
            Frame::Text(text) => Message::text(text),
            Frame::Binary(length) => Message::binary(vec![0; length]),
        };
        let _ = self.sender.send(message).await;
    }

    /// Waits for the next arrival. False when the connection has ended.
    pub(crate) async fn arrive(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        match self.arrivals.recv().await {
            Some(Arrival::Frame(frame)) => {
                self.count += 1;
                self.waiting.push((self.count, frame));
                true
            }
            Some(Arrival::End(code)) => {
                self.ended = Some(code);
                false
            }
            None => {
                self.ended = Some(None);
                false
            }
        }
    }

    /// Waits until the engine has handled what was sent on this connection, by a message that it answers in order.
    pub(crate) async fn barrier(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.send(Frame::Json(json!({"type": "ping"}))).await;
        within("a pong", async {
            while self.arrive().await {
                let last = self.waiting.last();
                if last.is_some_and(|(_, frame)| is_pong(frame)) {
                    self.waiting.pop();
                    return;
                }
            }
        })
        .await;
    }

    /// Closes the connection as a client does, and waits for the end.
    pub(crate) async fn close(&mut self) {
        let _ = self.sender.send(Message::Close(None)).await;
        within("the end of a connection", async { while self.arrive().await {} }).await;
    }
}

fn is_pong(frame: &Frame) -> bool {
    matches!(frame, Frame::Json(Value::Object(message)) if message["type"] == "pong")
}
