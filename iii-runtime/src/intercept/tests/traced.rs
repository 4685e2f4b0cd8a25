//! `Traced`: one event for each invocation, whatever its end.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;
use crate::intercept::Traced;
use iii_wire::TriggerKind;

/// Keeps the events of `Traced` as lines.
#[derive(Debug, Default)]
struct Lines(Arc<Story>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().ends_with("intercept::traced")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.tell(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_end_is_one_event() {
    let lines = Lines::default();
    let story = lines.0.clone();
    let _guard = tracing::subscriber::set_default(lines);
    let call = || {
        let context = Context::test().with_trigger(TriggerKind::Cron).with_attempt(2);
        Invocation::test(context, Payload::null())
    };
    let failing = |code: &'static str, status| {
        Next::test(move |_| async move { Err(iii::Error::new(code, "no").with_status(status)) })
    };
    let traced = Traced::new().level(Level::DEBUG);
    let good = Next::test(|_| async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        crate::output::Output::into_reply(1)
    });
    traced.around(call(), good).await.unwrap();
    traced.around(call(), failing("t/theirs", 404)).await.unwrap_err();
    traced.around(call(), failing("t/ours", 500)).await.unwrap_err();
    let panics = Next::test(|_| async { panic!("on purpose") });
    traced.around(call(), panics).await.unwrap_err();
    let never = Next::test(|_| std::future::pending());
    assert!(tokio::time::timeout(SECOND, traced.around(call(), never)).await.is_err());

    let facts = "message=invoked function=\"test\" trigger=cron attempt=2";
    let wanted = [
        ("DEBUG", "ok", "250.0"),
        ("DEBUG", "t/theirs", "0.0"),
        ("WARN", "t/ours", "0.0"),
        ("WARN", "panic", "0.0"),
        ("WARN", "dropped", "1000.0"),
    ];
    let wanted = wanted.map(|(level, outcome, elapsed)| {
        format!("{level} {facts} outcome=\"{outcome}\" elapsed_ms={elapsed}")
    });
    assert_eq!(story.take(), wanted);
}
