//! HTTP requests as the recorder's client sends them.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::within;

/// What the recorder's client called itself.
const USER_AGENT: &str = "Python/3.11 aiohttp/3.14.5";

/// The headers of an answer that are compared.
const COMPARED: [&str; 10] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "allow",
    "content-type",
    "location",
    "vary",
    "x-a",
    "x-one",
];

/// Makes a request and gives the answer in the form that [`answer`] gives a recorded one.
pub(crate) async fn ask(addr: SocketAddr, request: Value) -> Value {
    within("an HTTP answer", exchange(addr, &request)).await
}

async fn exchange(addr: SocketAddr, request: &Value) -> Value {
    let method = request["method"].as_str().expect("a method");
    let path = request["path"].as_str().expect("a path");
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\naccept: */*\r\naccept-encoding: gzip, deflate\r\n\
         user-agent: {USER_AGENT}\r\n"
    );
    let mut named = false;
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        named |= name == "content-type";
        head.push_str(&format!("{name}: {}\r\n", value.as_str().expect("a header is text")));
    }
    let (body, media) = match (request.get("json"), request["data"].as_str()) {
        (Some(json), _) => (Some(python(json).into_bytes()), Some("application/json")),
        (None, Some(data)) => (Some(bytes(data)), None),
        (None, None) => match method {
            "POST" => (Some(Vec::new()), Some("application/octet-stream")),
            "PUT" | "PATCH" | "DELETE" => (Some(Vec::new()), None),
            _ => (None, None),
        },
    };
    if let Some(media) = media.filter(|_| !named) {
        head.push_str(&format!("content-type: {media}\r\n"));
    }
    if let Some(body) = &body {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    let mut socket = TcpStream::connect(addr).await.expect("the engine listens");
    socket.write_all(format!("{head}\r\n").as_bytes()).await.expect("the engine reads");
    socket.write_all(&body.unwrap_or_default()).await.expect("the engine reads");
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = socket.read_line(&mut head).await.expect("the engine answers");
        assert_ne!(read, 0, "{method} {path}: half an answer: {head}");
    }
    let status: u16 = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let mut headers = Map::new();
    for line in head.trim_end().lines().skip(1) {
        let (name, value) = line.split_once(':').expect("a header");
        headers.insert(name.to_ascii_lowercase(), json!(value.trim()));
    }
    let length = headers.get("content-length").and_then(Value::as_str).unwrap_or("0");
    let length = length.parse().expect("a length");
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    socket.read_exact(&mut body).await.expect("the whole body");
    let body = String::from_utf8(body).expect("answers are text");
    answer(&json!({"status": status, "headers": headers, "body": body}))
}

/// An answer in the form that is compared: names of headers in lower case and only those that matter, a JSON body
/// parsed. That the length is right is seen from the body having arrived.
pub(crate) fn answer(answer: &Value) -> Value {
    let mut headers = Map::new();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        if COMPARED.contains(&name.as_str()) {
            // A list in a header has no order, and its blanks mean nothing.
            let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
            let mut entries: Vec<&str> = text.split(',').map(str::trim).collect();
            entries.sort_unstable();
            headers.insert(name, json!(entries.join(", ")));
        }
    }
    let text = answer["body"].as_str().unwrap_or_default();
    let is_json = headers.get("content-type").is_some_and(|media| media == "application/json");
    let parsed = is_json.then(|| serde_json::from_str(text).ok()).flatten();
    let body = parsed.unwrap_or_else(|| json!(text));
    json!({"status": answer["status"], "headers": headers, "body": body})
}

/// JSON with the blanks that the recorder's client writes; handlers are told the length.
fn python(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, field)| format!("{}: {}", json!(key), python(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The bytes of a body; those that are no text are recorded as `b'\x00'`.
fn bytes(data: &str) -> Vec<u8> {
    let Some(escaped) = data.strip_prefix("b'").and_then(|data| data.strip_suffix('\'')) else {
        return data.as_bytes().to_vec();
    };
    let codes = escaped.split("\\x").filter(|code| !code.is_empty());
    codes.map(|code| u8::from_str_radix(code, 16).expect("all bytes are escaped")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_those_of_the_recorder() {
        assert_eq!(python(&json!({"item": "tea", "n": [1, 2.5, null]})).len(), 36);
        assert_eq!(bytes("b'\\x00\\xff\\x01'"), [0, 255, 1]);
        assert_eq!(bytes("plain"), b"plain");
    }
}
