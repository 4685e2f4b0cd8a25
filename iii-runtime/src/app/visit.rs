//! A connection that serves nothing and only asks, for the program `iii`.

use crate::catalogue::Catalogue;
use crate::client::Client;
use crate::config::Configs;
use crate::extract::Resources;
use crate::worker::WorkerHandle;
use iii_wire::Result;

use super::prepared::{Extras, Prepared, Surroundings};
use super::running::remote;
use super::settings::Settings;

/// A client of an engine elsewhere, for as long as it is kept.
#[derive(Debug)]
pub struct Visit {
    client: Client,
    worker: WorkerHandle,
}

/// Connects to an engine as a worker without functions. An engine that cannot be reached is tried again, for as long
/// as it takes.
///
/// # Errors
///
/// `connect_failed`, `registration_rejected` or `invalid_configuration`
pub async fn visit(url: &str, name: String, headers: &[(String, String)]) -> Result<Visit> {
    let settings = Settings { name: Some(name), ..Settings::default() };
    // There is nothing that the engine could have refused.
    let surroundings = Surroundings { asks: false, ..Surroundings::default() };
    let prepared = Prepared::without_check(
        Catalogue::empty(),
        Resources::default(),
        Configs::default(),
        &settings,
        Extras::default(),
        surroundings,
    )?;
    let (worker, _) = prepared.connect(std::sync::Arc::new(remote(url, headers)?)).await?;
    Ok(Visit { client: Client::new(prepared.session), worker })
}

impl Visit {
    /// Calls functions.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Leaves the engine, and waits until it is done.
    pub async fn leave(mut self) {
        self.worker.abort();
        // Whoever has its answer need not know how the link ended.
        let _ = self.worker.left().await;
    }
}
