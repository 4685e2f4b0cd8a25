//! A raw HTTP client: one request, one connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::within;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head as text, in lower case.
    pub head: String,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Makes a request, with a JSON body if there is one.
///
/// # Panics
///
/// If nobody listens, or the answer is not HTTP.
pub async fn request(addr: SocketAddr, method: &str, path: &str, body: Option<&str>) -> Answer {
    within("an HTTP answer", async {
        let mut socket = TcpStream::connect(addr).await.expect("somebody listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
        if let Some(body) = body {
            head.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        let text = format!("{head}\r\n{}", body.unwrap_or_default());
        socket.write_all(text.as_bytes()).await.expect("the request is sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no HTTP answer: {answer}")),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    })
    .await
}
