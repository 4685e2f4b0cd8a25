//! Finds out what the engine cannot do yet, by asking it.

use std::net::SocketAddr;

use serde_json::json;

use super::tables::{NOT_YET, NotYet, Until};
use crate::Peer;

/// The entries of the table that hold for a recording, since the engine lacks what they wait for.
pub(super) async fn not_yet(recording: &str, workers: SocketAddr) -> Vec<&'static NotYet> {
    let mut hold = Vec::new();
    let entries = NOT_YET.iter().filter(|entry| entry.recording == recording);
    for entry in entries {
        let mut peer = Peer::connect(&format!("ws://{workers}")).await;
        let Until::Function(id) = entry.until;
        let asked = json!({"function_id": id});
        if peer.call("engine::functions::info", asked).await.is_err() {
            hold.push(entry);
        }
        peer.close().await;
    }
    hold
}
