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
    let answer = try_request(addr, method, path, body).await.expect("somebody listens");
    answer.unwrap_or_else(|| panic!("{method} {path}: the connection ended without an answer"))
}

/// Makes a request to somebody who may stop listening; `None` if the connection ended without a byte of an answer.
///
/// # Errors
///
/// If nobody listens.
///
/// # Panics
///
/// If the answer is not HTTP, or only a part of one.
pub async fn try_request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> std::io::Result<Option<Answer>> {
    within("an HTTP answer", async {
        let mut socket = TcpStream::connect(addr).await?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
        if let Some(body) = body {
            let length = body.len();
            head.push_str("content-type: application/json\r\n");
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        let text = format!("{head}\r\n{}", body.unwrap_or_default());
        let mut answer = String::new();
        let exchanged = async {
            socket.write_all(text.as_bytes()).await?;
            socket.read_to_string(&mut answer).await
        };
        if exchanged.await.is_err() || answer.is_empty() {
            return Ok(None);
        }
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Some(Answer {
            status: status.unwrap_or_else(|| panic!("no HTTP answer: {answer}")),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }))
    })
    .await
}
