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
        let is_there = match entry.until {
            Until::Function(id) => {
                let asked = json!({"function_id": id});
                peer.call("engine::functions::info", asked).await.is_ok()
            }
            Until::HttpFunctions => has_http_functions(&mut peer).await,
        };
        if !is_there {
            hold.push(entry);
        }
        peer.close().await;
    }
    hold
}

/// Whether a function that is registered with an endpoint is called there, or at least refused for its address.
async fn has_http_functions(peer: &mut Peer) -> bool {
    let register = json!({"name": "probe", "runtime": "rust", "version": "1", "os": "x"});
    peer.call("engine::workers::register", register).await.expect("the engine takes workers");
    let endpoint = json!({"url": "https://127.0.0.1:1/", "method": "POST"});
    peer.send(json!({"type": "registerfunction", "id": "probe::http", "invocation": endpoint}))
        .await;
    let id = "9b1f5a4e-0000-4000-8000-000000000001";
    let call = json!({
        "type": "invokefunction", "invocation_id": id, "function_id": "probe::http", "data": {},
    });
    peer.send(call).await;
    // Without the room it is a function of ours, and the call comes back to us.
    peer.next().await.is_some_and(|answer| {
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        answer["type"] == "invocationresult"
            && !matches!(code, "function_not_found" | "http_functions_unavailable")
    })
}
