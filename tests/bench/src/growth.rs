//! What grows: thousands of registrations, a durable topic, and connections that do nothing.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::Error;
use crate::bare::{self, Sending, Socket};
use crate::options::Options;
use crate::orders::NewOrder;
use crate::process::{self, Process};
use crate::worker::{self, SERVED, taken};

/// Functions with an http trigger each.
const FUNCTIONS: usize = 2_000;
/// Messages of the durable topic.
const MESSAGES: usize = 20_000;
/// Connections that do nothing.
const IDLE: usize = 400;

/// Measures all of it, and gives lines to print.
pub(crate) fn measure(options: &Options) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut engine = Process::start("engine", "", &[])?;
        let address = engine.address("ready on")?;
        let mut text = String::from("\n");
        let (added, removed) = registrations(address).await?;
        writeln!(text, "{FUNCTIONS} functions with http triggers: registered in {added:.2?}, removed in {removed:.2?}")?;
        let (published, taken) = messages(address, options).await?;
        writeln!(text, "durable topic in memory: {published:.0} published a second, {taken:.0} published and taken a second")?;
        if let Some(bytes) = idle(address, engine.id()).await? {
            writeln!(text, "an idle connection: {} KiB of the engine's memory", bytes.div_ceil(1024))?;
        }
        Ok(text)
    })
}

/// Registers and removes over one connection; how long each takes until the engine has done it.
async fn registrations(address: SocketAddr) -> Result<(Duration, Duration), Error> {
    let mut socket = bare::connect(address, Sending::Each).await?;
    let announce = json!({
        "type": "invokefunction", "function_id": "engine::workers::register",
        "data": {"runtime": "rust", "name": "growth"},
    });
    send(&mut socket, [announce]).await?;
    let added = (0..FUNCTIONS).flat_map(|n| {
        let function = json!({"type": "registerfunction", "id": format!("growth::f{n}")});
        let trigger = json!({
            "type": "registertrigger", "id": format!("growth-{n}"), "trigger_type": "http",
            "function_id": format!("growth::f{n}"),
            "config": {"api_path": format!("/growth/{n}/:id"), "http_method": "GET"},
        });
        [function, trigger]
    });
    let removed = (0..FUNCTIONS).flat_map(|n| {
        let trigger = json!({
            "type": "unregistertrigger", "id": format!("growth-{n}"), "trigger_type": "http",
        });
        let function = json!({"type": "unregisterfunction", "id": format!("growth::f{n}")});
        [trigger, function]
    });
    let adding = send(&mut socket, added).await?;
    Ok((adding, send(&mut socket, removed).await?))
}

/// Sends messages and waits until the engine has handled them: it answers a ping in its order. How long that took.
async fn send(
    socket: &mut Socket,
    messages: impl IntoIterator<Item = serde_json::Value>,
) -> Result<Duration, Error> {
    let frames: Vec<Frame> =
        messages.into_iter().map(|message| Frame::text(message.to_string())).collect();
    let begin = Instant::now();
    let ping = Frame::text(json!({"type": "ping"}).to_string());
    let mut frames = stream::iter(frames.into_iter().chain([ping]).map(Ok));
    socket.send_all(&mut frames).await?;
    while let Some(frame) = socket.next().await {
        let frame = frame?;
        let text = frame.to_text()?;
        if text.contains(r#""type":"pong""#) {
            return Ok(begin.elapsed());
        }
        if text.contains(r#""type":"triggerregistrationresult""#) || text.contains("rejected") {
            return Err(format!("a registration was refused: {text}").into());
        }
    }
    Err("the engine is gone".into())
}

/// Messages a second: until all are published, and until a worker in another process has taken all.
async fn messages(address: SocketAddr, options: &Options) -> Result<(f64, f64), Error> {
    let url = format!("ws://{address}");
    let mut served = Process::start("worker", "", &[("III_URL", &url)])?;
    served.line("is ready")?;
    let mut caller = worker::caller(&url).await?;
    let client = caller.client();
    let message = json!({"topic": "bench.orders", "data": NewOrder::of_size(options.size)});
    let begin = Instant::now();
    stream::iter((0..MESSAGES).map(Ok::<_, Error>))
        .try_for_each_concurrent(options.in_flight, |_| async {
            client.call_raw::<()>("iii::durable::publish", &message).await.map_err(Error::from)
        })
        .await?;
    let published = begin.elapsed();
    while client.call::<taken>(()).namespace(SERVED).await? < MESSAGES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = begin.elapsed();
    caller.drain().await?;
    let a_second = |time: Duration| MESSAGES as f64 / time.as_secs_f64();
    Ok((a_second(published), a_second(all)))
}

/// What a connection costs that does nothing, in bytes.
async fn idle(address: SocketAddr, engine: u32) -> Result<Option<u64>, Error> {
    // The first ones make room for many.
    let mut open = vec![bare::connect(address, Sending::Each).await?];
    let before = process::memory(engine);
    for _ in 0..IDLE {
        let mut socket = bare::connect(address, Sending::Each).await?;
        // The engine speaks first: then it is there.
        socket.next().await.ok_or("the engine is gone")??;
        open.push(socket);
    }
    let after = process::memory(engine);
    Ok(before.zip(after).map(|(before, after)| after.saturating_sub(before) / IDLE as u64))
}
