//! Traces in tests: what comes in goes on, from wherever a handler calls, and nothing of it is sent.

use serde_json::{Value, json};

use crate::prelude::*;
use crate::telemetry::{current_trace, in_current_trace};

const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Gives back the trace that it belongs to.
#[iii::function(id = "trace::inner")]
async fn inner(context: Context) -> Option<String> {
    context.trace().traceparent.clone()
}

/// As [`inner`], on a thread of its own.
#[iii::function(id = "trace::plain")]
fn plain() -> Option<String> {
    current_trace().traceparent
}

/// The traces of a call, of a plain function, of calls by tasks with and without the trace, and of what is handed to others.
#[iii::function(id = "trace::outer")]
#[iii::trigger(http, method = "POST", path = "/trace")]
async fn outer(client: Client) -> iii::Result<Vec<Option<String>>> {
    let call = |client: Client| async move { client.call::<inner>(()).await };
    let kept = tokio::spawn(in_current_trace(call(client.clone())));
    let lost = tokio::spawn(call(client.clone()));
    Ok(vec![
        client.call::<inner>(()).await?,
        client.call::<plain>(()).await?,
        kept.await.expect("no panic")?,
        lost.await.expect("no panic")?,
        current_trace().traceparent,
    ])
}

#[iii::test(only(inner, plain, outer))]
async fn a_trace_goes_on_as_it_came(iii: Harness) {
    let post = iii.http().post("/trace").header("traceparent", CAME).send().await;
    assert_eq!(post.json::<Value>(), json!([CAME, CAME, CAME, null, CAME]));
    let none = iii.http().post("/trace").send().await;
    assert_eq!(none.json::<Value>(), json!([null, null, null, null, null]));
}

#[iii::test(only(inner))]
async fn a_test_sends_no_telemetry(iii: Harness) -> iii::Result<()> {
    iii.call::<inner>(()).await?;
    let health: Value = iii.call_raw("engine::health::check", &json!({})).await?;
    assert_eq!(health["components"]["spans"]["details"]["stored_spans"], 0);
    assert_eq!(health["components"]["logs"]["details"]["stored_logs"], 0);
    Ok(())
}
