//! Owns the checks of traces: spans that the SDK sends are kept, and fire `trace` triggers.
//!
//! They come first: the SDK has one connection for telemetry in a process, and ends it as soon as any worker shuts down.

use serde_json::json;

use crate::kit::{checks, plain, traces, until, Kit};

checks! {
    "triggers/trace" => trace, if traces();
    "observability/traces" => recorded_traces, if traces();
}

async fn trace(kit: &mut Kit) {
    kit.serve("rs::seen", plain(|data| data)).await;
    let traces = kit.hear("rs::traced").await;
    let binding = kit.bind("trace", "rs::traced", json!({})).await;
    kit.call("rs::seen", json!({"a": 1})).await;
    assert_ne!(traces.wait("the trace", |_| true).await["trace_ids"], json!([]));
    kit.unbind(binding, "trace", "rs::traced").await;
}

async fn recorded_traces(kit: &mut Kit) {
    kit.call("rs::seen", json!({"a": 1})).await;
    let query = json!({"name": "execute rs::seen", "search_all_spans": true});
    let recorded = || async {
        let listed = kit.attempt("engine::traces::list", query.clone()).await?;
        Ok((listed["spans"] != json!([])).then_some(()))
    };
    until("the span", recorded).await;
}
