//! HTTP triggers of the embedded engine beside axum handlers, under the load of one small client.
//!
//! The client is a thread of this process: requests that are written once, and answers of which no more is read than
//! where they end. A larger client would take the processor from both sides, and bring their ratio nearer to one.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::orders::NewOrder;
use crate::process::{Process, processor_time};
use crate::stats::{Comparison, Outcome};
use crate::{Error, rounds};

/// The least ratio that is good enough.
const REQUIRED: f64 = 0.35;

/// Measures both kinds of requests.
pub(crate) fn measure(
    options: &Options,
    show: &mut dyn FnMut(Comparison) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut bare = Process::start("axum", "", &[])?;
    let bare = (bare.address("ready on")?, bare);
    let ports = [("III_WORKER_PORT", "0"), ("III_HTTP_PORT", "0"), ("III_STREAM_PORT", "0")];
    let mut ours = Process::start("worker", "", &ports)?;
    let ours = (ours.address("  http  ")?, ours);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let body = serde_json::to_string(&NewOrder::of_size(options.size))?;
    let post = format!(
        "POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = "GET /orders/42 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned();
    for (title, request) in [("POST, JSON", post), ("GET, path parameter", get)] {
        let body = |address| runtime.block_on(body_of(address, &request));
        let (theirs, same) = (body(bare.0)?, body(ours.0)?);
        if theirs != same {
            return Err(format!("the sides answer differently: {theirs} and {same}").into());
        }
        let pairs = rounds(options, |is_ours, time| {
            let (address, process) = if is_ours { &ours } else { &bare };
            runtime.block_on(load(*address, process, &request, options.connections, time))
        })?;
        let title = format!("{title}, {} open", options.connections);
        show(Comparison { title, bare: "axum", required: Some(REQUIRED), rounds: pairs })?;
    }
    Ok(())
}

/// Sends one request over and over, on several connections, one at a time on each.
async fn load(
    address: SocketAddr,
    process: &Process,
    request: &str,
    connections: usize,
    time: Duration,
) -> Result<Outcome, Error> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let before = processor_time(&[process.id()]);
    let begin = Instant::now();
    let mut loads = JoinSet::new();
    for mut connection in open {
        let request = request.to_owned();
        loads.spawn(async move {
            let mut times = Vec::new();
            while begin.elapsed() < time {
                let sent = Instant::now();
                connection.exchange(&request).await?;
                times.push(sent.elapsed());
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = loads.join_next().await {
        times.extend(of_one??);
    }
    let wall = begin.elapsed();
    Ok(Outcome::new(times, wall, processor_time(&[process.id()]) - before))
}

async fn body_of(address: SocketAddr, request: &str) -> Result<String, Error> {
    let mut connection = Connection::open(address).await?;
    let body = connection.exchange(request).await?;
    Ok(String::from_utf8(body.to_vec())?)
}

/// A keep-alive connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10], filled: 0 })
    }

    /// Sends a request and reads the answer to its end; gives its body.
    async fn exchange(&mut self, request: &str) -> Result<&[u8], Error> {
        self.stream.write_all(request.as_bytes()).await?;
        self.filled = 0;
        loop {
            let free = &mut self.buffer[self.filled..];
            let read = self.stream.read(free).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.filled += read;
            let answer = &self.buffer[..self.filled];
            let Some((begin, length)) = head(answer)? else { continue };
            if answer.len() >= begin + length {
                return Ok(&self.buffer[begin..begin + length]);
            }
        }
    }
}

/// Where the body begins and how long it is; `None` while the head is not whole.
fn head(answer: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("the answer is not 200: {head}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.ok_or_else(|| format!("the answer has no length: {head}"))?;
    Ok(Some((end + 4, length.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_answer_is_found() {
        let answer = b"HTTP/1.1 200 OK\r\nvary: x\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(head(answer).unwrap(), Some((answer.len() - 2, 2)));
        assert_eq!(head(&answer[..20]).unwrap(), None);
        assert!(head(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
