//! An engine in the process of the test, on free ports, and raw workers of it.

use iii::engine::{Engine, EngineBuilder};

use crate::Peer;

/// An engine with the usual settings.
///
/// # Panics
///
/// If it cannot start.
pub async fn engine() -> Engine {
    engine_with(|builder| builder).await
}

/// An engine with other settings.
///
/// # Panics
///
/// If it cannot start.
pub async fn engine_with(
    configure: impl FnOnce(&mut EngineBuilder) -> &mut EngineBuilder,
) -> Engine {
    let mut builder = Engine::builder();
    builder.worker_port(0).http_port(0).stream_port(0);
    configure(&mut builder).start().await.expect("free ports")
}

/// Where workers connect.
///
/// # Panics
///
/// If the engine has no listeners.
pub fn worker_url(engine: &Engine) -> String {
    format!("ws://{}", engine.worker_addr().expect("it listens"))
}

/// A worker that has introduced itself.
///
/// # Panics
///
/// If the engine does not want it.
pub async fn worker(engine: &Engine, name: &str) -> Peer {
    Peer::named(&worker_url(engine), name).await
}
