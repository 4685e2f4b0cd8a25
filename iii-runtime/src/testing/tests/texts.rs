//! Awkward texts: whatever a program passes on from outside ends in a result or a coded error, and never in a panic.

use std::time::Duration;

use serde_json::Value;

use super::worker::*;
use crate::catalogue::UNUSUAL_STRINGS;
use crate::prelude::*;
use crate::{Error, Update};
use iii_wire::TriggerKind;
use iii_wire::code;
use iii_wire::transport::ws::WsTransport;

/// Whether a call ended as it may: it did what it can, or says with a code why not.
#[track_caller]
fn ends<T>(text: &str, what: &str, result: Result<T, Error>) -> Option<Error> {
    let error = result.err()?;
    assert!(!error.code().is_empty() && !error.message().is_empty(), "{what} {text:?}: {error:?}");
    // An engine in this process that goes away, or does not answer, is what no text may cause.
    let broken = [code::CONNECTION_LOST, code::NOT_CONNECTED, code::TIMEOUT, code::PANIC];
    assert!(!broken.contains(&error.code()), "{what} {text:?}: {error}");
    Some(error)
}

#[iii::test(only(double))]
async fn every_text_of_the_client_ends_in_a_result_or_a_code(iii: Harness) {
    let client = iii.client();
    let long = "x".repeat(100_000);
    for text in UNUSUAL_STRINGS.into_iter().chain([long.as_str()]) {
        let error = ends(text, "function", client.call_raw::<Value>(text, &1).await);
        let blank = text.trim().is_empty();
        assert!(!blank || error.is_some_and(|error| error.code() == code::INVALID_ARGUMENT));
        ends(text, "send", client.send_raw(text, &1).await);
        ends(text, "queue", client.enqueue::<double>(text, 1).await);
        ends(text, "enqueued function", client.enqueue_raw("default", text, &1).await);
        let call = client.call::<double>(1).namespace(text);
        assert!(ends(text, "namespace", call.await).is_some(), "{text:?}");
        ends(text, "metadata", client.call::<double>(1).metadata(text).await);
        ends(text, "topic", client.publish(text, &1).await);
        ends(text, "durable topic", client.publish_durable(text, &1).await);

        let state = client.state::<u32>(text);
        ends(text, "state", state.set(text, &1).await);
        ends(text, "state", state.get(text).await);
        ends(
            text,
            "state",
            state.update(text, Update::new().increment(text, 1).append(text, text)).await,
        );
        ends(text, "state", state.list().await);
        ends(text, "state", state.delete(text).await);
        let stream = client.stream::<u32>(text);
        ends(text, "stream", stream.set(text, text, &1).await);
        ends(text, "stream", stream.get(text, text).await);
        ends(text, "stream", stream.send(text, text, &1).await);
        ends(text, "stream", stream.list(text).await);
        ends(text, "stream", stream.list_groups().await);
        ends(text, "stream", stream.delete(text, text).await);

        let queue = client.queue(text);
        ends(text, "dead letters", queue.dead_letters().offset(u64::MAX).limit(u64::MAX).await);
        ends(text, "stats", queue.stats().await);
        ends(text, "redrive", queue.redrive().await);
        ends(text, "redrive", queue.redrive_one(text).await);
        ends(text, "discard", queue.discard(text).await);

        ends(text, "function", client.function(text).await);
        ends(text, "list", client.functions().search(text).prefix(text).worker(text).await);
        ends(text, "list", client.triggers().of_type(text).of_function(text).await);
        ends(text, "list", client.workers().runtime(text).await);
    }
    iii.settle().await;
    assert_eq!(iii.call::<double>(2).await.unwrap(), 4, "the worker and the engine go on");
}

#[iii::test(only(double))]
async fn no_span_of_time_is_too_long_or_too_short(iii: Harness) {
    for span in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        // Without any time there may be no answer; that is all.
        let late = [code::TIMEOUT, code::NOT_CONNECTED, code::OVERLOADED];
        if let Err(error) = iii.call::<double>(1).timeout(span).await {
            assert!(span < Duration::MAX && late.contains(&error.code()), "{span:?}: {error}");
        }
        let context = Context::test().with_time_left(span);
        assert!(context.time_left().unwrap() <= Duration::MAX);
        let error = Error::new("a/b", "c").with_retry_after(span);
        assert!(error.retry_after().is_some());
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_end_the_start() {
    for text in UNUSUAL_STRINGS {
        let name = {
            let mut app = App::new();
            app.function::<double>().url("ws://127.0.0.1:1").name(text).namespace(text);
            // Whatever is no name ends the start; with a name it waits for an engine that is not there.
            tokio::time::timeout(Duration::from_millis(1), app.start()).await
        };
        if let Ok(started) = name {
            assert_eq!(started.unwrap_err().code(), code::INVALID_CONFIGURATION, "{text:?}");
        }
        let mut app = App::new();
        let error = app.function::<double>().url(text).start().await.unwrap_err();
        assert_eq!(error.code(), code::INVALID_CONFIGURATION, "{text:?}");
        let mut app = App::new();
        app.function::<double>().url("ws://127.0.0.1:1").header(text, text);
        let started = tokio::time::timeout(Duration::from_millis(1), app.start()).await;
        if let Ok(started) = started {
            assert_eq!(started.unwrap_err().code(), code::INVALID_CONFIGURATION, "{text:?}");
        }
        let mut app = App::new();
        app.function::<double>().health_as(text).health_check(text, async |_: Client| Ok(()));
        let _ = app.catalogue();
        let _ = WsTransport::new(text);
        let _ = TriggerKind::from(text);
        let _ = Response::new(0).header(text, text).text(text);
    }
}
