//! The official Rust SDK against the engine: `scenario` runs the checks, `serve` is a server for the mixed run.

// The trigger and stream functions are deprecated in favour of what the engine does not offer; workers still use them.
#![allow(deprecated)]

mod channels;
mod discovery;
mod functions;
mod kit;
mod queues;
mod routes;
mod server;
mod stores;
mod streams;
mod traces;
mod triggers;
mod types;

use kit::Kit;

async fn scenario() {
    let kit = &mut Kit::connect();
    traces::run(kit).await;
    functions::run(kit).await;
    routes::run(kit).await;
    triggers::run(kit).await;
    types::run(kit).await;
    queues::run(kit).await;
    stores::run(kit).await;
    streams::run(kit).await;
    channels::run(kit).await;
    discovery::run(kit).await;
    kit.close().await;
    kit::ok("shutdown");
}

#[tokio::main]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("scenario") => scenario().await,
        Some("serve") => server::serve().await,
        other => panic!("scenario or serve, not {other:?}"),
    }
}
