//! The endpoint that HTTP functions call: it tells what it got and answers by path, as the recorder's did.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Where the recorder's endpoint was.
pub(crate) const RECORDED: &str = "127.0.0.1:3999";

/// A listening endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    pub(crate) requests: mpsc::UnboundedReceiver<Value>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let (got, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, got.clone()));
            }
        });
        Self { addr, requests }
    }
}

/// Answers the requests of a connection; none after a broken one.
async fn serve(socket: TcpStream, got: mpsc::UnboundedSender<Value>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut first, mut headers, mut length) = (String::new(), Map::new(), 0);
        socket.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            if name == "content-length" {
                length = value.parse().ok()?;
            }
            headers.insert(name, json!(value));
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let body = String::from_utf8(body).ok()?;
        let request = json!({"method": method, "path": path, "headers": headers, "body": body});
        got.send(received(&request)).ok()?;
        let (status, body) = match path.as_str() {
            "/fail" => ("400 Bad Request", r#"{"error":{"code":"X","message":"bad"}}"#),
            "/text" => ("200 OK", "not json"),
            // Nothing, until the caller has gone.
            "/slow" => return socket.read_u8().await.ok().map(drop),
            _ => ("200 OK", r#"{"ok":true}"#),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// A request in the form that is compared: names of headers in lower case, the body parsed. What a client says of itself
/// and of its connection is left out.
pub(crate) fn received(request: &Value) -> Value {
    let mut headers = Map::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        if !matches!(name.as_str(), "accept" | "connection" | "user-agent" | "accept-encoding") {
            headers.insert(name, value.clone());
        }
    }
    let text = request["body"].as_str().unwrap_or_default();
    let body = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    json!({"method": request["method"], "path": request["path"], "headers": headers, "body": body})
}
