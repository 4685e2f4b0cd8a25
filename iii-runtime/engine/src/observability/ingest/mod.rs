//! Telemetry frames: from the bytes of a connection to spans, metric points and log records (protocol section 1.6).
//!
//! A frame is read in place: nothing but one span, point or record at a time is made of it. What one frame costs in
//! memory is thus the frame itself, and what the stores keep. A frame that is no JSON is dropped as a whole; a single
//! thing in it that is wrong is dropped alone, and counted.

mod json;
mod logs;
mod metrics;
mod spans;
mod value;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Bytes;

use super::logs::Record;
use super::metrics::Point;
use super::traces::Span;
use json::{Pick, Text, each, whole};
use value::{Attributes, cut_name};

/// Frames up to this size are read at once; longer ones by another thread, so that they hold up nobody else.
const AT_ONCE: usize = 16 << 10;
/// Longer frames that are read at a time, of all connections together; the others wait where they are.
const LARGE_AT_A_TIME: usize = 4;
/// What is read is handed on in portions.
const PORTION: usize = 256;

/// Where what was read goes.
pub(super) trait Sink: Send + Sync + 'static {
    /// Takes spans.
    fn spans(&self, spans: Vec<Span>);
    /// Takes metric points.
    fn points(&self, points: Vec<Point>);
    /// Takes log records.
    fn records(&self, records: Vec<Record>);
    /// Hears of spans that could not be read.
    fn refused_spans(&self, count: u64);
}

/// The way in for telemetry frames.
pub(super) struct Ingest<S> {
    sink: Arc<S>,
    large: Arc<Semaphore>,
}

impl<S: Sink> Ingest<S> {
    /// A way to `sink`.
    pub(super) fn new(sink: Arc<S>) -> Self {
        Self { sink, large: Arc::new(Semaphore::new(LARGE_AT_A_TIME)) }
    }

    /// Takes a frame. When the future is done, what is in it is stored: frames of one connection keep their order.
    pub(super) fn take(&self, frame: Bytes) -> BoxFuture<'static, ()> {
        let sink = self.sink.clone();
        if frame.len() <= AT_ONCE {
            guarded(&*sink, &frame);
            return std::future::ready(()).boxed();
        }
        let large = self.large.clone();
        async move {
            let Ok(_place) = large.acquire().await else { return };
            let read = tokio::task::spawn_blocking(move || guarded(&*sink, &frame));
            // It fails only if the runtime ends.
            let _ = read.await;
        }
        .boxed()
    }
}

/// Reads a frame; a bug in the reading costs that frame, never the connection.
fn guarded(sink: &impl Sink, frame: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| read(sink, frame))).is_err() {
        tracing::error!("the engine panicked over a telemetry frame; it goes on");
    }
}

fn read(sink: &impl Sink, frame: &[u8]) {
    let Some((prefix, body)) = frame.split_at_checked(4) else { return };
    let Ok(text) = std::str::from_utf8(body) else {
        return tracing::warn!("a telemetry frame that is not UTF-8 was dropped");
    };
    let outcome = match prefix {
        b"OTLP" => walk(text, &SPANS, spans::read, |spans| sink.spans(spans)),
        b"MTRC" => walk(text, &METRICS, metrics::read, |points| sink.points(points)),
        b"LOGS" => walk(text, &LOGS, logs::read, |records| sink.records(records)),
        _ => return,
    };
    let prefix = String::from_utf8_lossy(prefix);
    match outcome {
        Err(error) => {
            tracing::warn!("a telemetry frame `{prefix}` was dropped: {}", brief(&error));
        }
        Ok(Refused { count: 0, .. }) => {}
        Ok(Refused { count, signal, first }) => {
            let first = first.as_ref().map(brief).unwrap_or_default();
            tracing::warn!(
                "{count} {signal} of a telemetry frame were dropped; the first: {first}"
            );
            if signal == SPANS.signal {
                sink.refused_spans(count);
            }
        }
    }
}

/// The beginning of an error: its text can quote as much of the frame as it likes.
fn brief(error: &serde_json::Error) -> String {
    error.to_string().chars().take(200).collect()
}

/// The names of the levels of one kind of request.
struct Levels {
    signal: &'static str,
    resources: &'static str,
    scopes: &'static str,
    leaves: &'static str,
}

const SPANS: Levels =
    Levels { signal: "spans", resources: "resourceSpans", scopes: "scopeSpans", leaves: "spans" };
const METRICS: Levels = Levels {
    signal: "metrics",
    resources: "resourceMetrics",
    scopes: "scopeMetrics",
    leaves: "metrics",
};
const LOGS: Levels =
    Levels { signal: "logs", resources: "resourceLogs", scopes: "scopeLogs", leaves: "logRecords" };

/// What was dropped of a frame.
#[derive(Default)]
struct Refused {
    count: u64,
    signal: &'static str,
    first: Option<serde_json::Error>,
}

/// Who sent something: the resource and the scope of OTLP.
#[derive(Clone)]
struct Origin {
    service_name: Arc<str>,
    resource: Arc<serde_json::Map<String, serde_json::Value>>,
    scope_name: Arc<str>,
    scope_version: Option<Arc<str>>,
}

/// Walks down to the spans, metrics or records of a request, and makes `T` of each.
fn walk<T>(
    text: &str,
    levels: &Levels,
    read: impl Fn(&RawValue, &Origin, &mut dyn FnMut(T)) -> Result<(), serde_json::Error>,
    take: impl Fn(Vec<T>),
) -> Result<Refused, serde_json::Error> {
    let mut refused = Refused { signal: levels.signal, ..Refused::default() };
    let mut portion = Vec::new();
    // The whole text is looked through here: after this line it is known to be JSON.
    let [resources, _] = whole(text, Pick([levels.resources, ""]))?;
    let Some(resources) = resources else { return Ok(refused) };
    each(resources, Pick(["resource", levels.scopes]), |[resource, scopes]| {
        let resource = Resource::read(resource)?;
        let Some(scopes) = scopes else { return Ok(()) };
        each(scopes, Pick(["scope", levels.leaves]), |[scope, leaves]| {
            let origin = resource.with_scope(scope)?;
            let Some(leaves) = leaves else { return Ok(()) };
            each(leaves, std::marker::PhantomData::<&RawValue>, |leaf| {
                // One metric can have millions of points: the portion is looked at after each.
                let mut emit = |one| {
                    portion.push(one);
                    if portion.len() >= PORTION {
                        take(std::mem::take(&mut portion));
                    }
                };
                if let Err(error) = read(leaf, &origin, &mut emit) {
                    refused.count += 1;
                    refused.first.get_or_insert(error);
                }
                Ok(())
            })
        })
    })?;
    if !portion.is_empty() {
        take(portion);
    }
    Ok(refused)
}

#[derive(Default, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
}

#[derive(Default, Deserialize)]
struct Scope<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
}

impl Resource<'_> {
    fn read(json: Option<&RawValue>) -> Result<Origin, serde_json::Error> {
        let resource: Resource<'_> = match json {
            Some(json) => serde_json::from_str(json.get())?,
            None => Resource::default(),
        };
        let name = resource.attributes.0.iter().find(|one| one.key.0 == "service.name");
        let name = name.map(value::KeyValue::text).filter(|name| !name.is_empty());
        Ok(Origin {
            service_name: name.as_deref().map_or("unknown", cut_name).into(),
            resource: Arc::new(value::object(&resource.attributes)),
            scope_name: "".into(),
            scope_version: None,
        })
    }
}

impl Origin {
    fn with_scope(&self, json: Option<&RawValue>) -> Result<Self, serde_json::Error> {
        let scope: Scope<'_> = match json {
            Some(json) => serde_json::from_str(json.get())?,
            None => Scope::default(),
        };
        let text = |text: Text<'_>| Arc::from(cut_name(&text.0));
        Ok(Self {
            scope_name: scope.name.map_or_else(|| "".into(), text),
            scope_version: scope.version.map(text),
            ..self.clone()
        })
    }
}

/// Whether a text of an OTLP frame says nothing.
fn is_blank(text: &Option<Text<'_>>) -> bool {
    text.as_ref().is_none_or(|text| text.0.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Keeps what it gets, by a word for each thing.
    #[derive(Default)]
    pub(super) struct Kept(pub(super) Mutex<Vec<String>>);

    impl Kept {
        fn add(&self, words: impl IntoIterator<Item = String>) {
            self.0.lock().unwrap().extend(words);
        }
    }

    impl Sink for Kept {
        fn spans(&self, spans: Vec<Span>) {
            self.add(spans.iter().map(|span| format!("span {}", span.name)));
        }

        fn points(&self, points: Vec<Point>) {
            self.add(points.iter().map(|point| format!("point {}", point.name)));
        }

        fn records(&self, records: Vec<Record>) {
            self.add(records.iter().map(|record| format!("record {}", record.body)));
        }

        fn refused_spans(&self, count: u64) {
            self.add([format!("{count} spans refused")]);
        }
    }

    fn read_all(frames: &[&[u8]]) -> Vec<String> {
        let kept = Kept::default();
        for frame in frames {
            guarded(&kept, frame);
        }
        kept.0.into_inner().unwrap()
    }

    const IDS: &str = r#""traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7""#;

    #[test]
    fn bad_frames_are_dropped_as_a_whole_and_bad_spans_alone() {
        let spans = |inner: &str| {
            format!(r#"OTLP{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{inner}]}}]}}]}}"#)
        };
        let good = format!(r#"{{{IDS},"name":"a"}}"#);
        let mixed = spans(&format!(r#"{good},{{"name":7}},{{{IDS},"name":"b"}}"#));
        let cut_off = &spans(&good)[..60];
        let frames: [&[u8]; 9] = [
            mixed.as_bytes(),
            cut_off.as_bytes(),
            b"OTLP\xff\xfe",
            b"OTLP",
            b"OTLP[]",
            b"OTLPnull",
            b"OTLP{\"resourceSpans\":7}",
            b"OTLP{\"resourceSpans\":[null]}",
            b"OTLP{}",
        ];
        assert_eq!(read_all(&frames), ["span a", "span b", "1 spans refused"]);
    }

    #[test]
    fn each_prefix_reads_its_own_request() {
        let logs = br#"LOGS{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hi"}}]}]}]}"#;
        let metrics = br#"MTRC{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;
        let wrong = br#"OTLP{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
        assert_eq!(read_all(&[logs, metrics, wrong]), ["record hi", "point m"]);
    }

    #[tokio::test]
    async fn large_frames_are_read_elsewhere_in_their_order() {
        let kept = Arc::new(Kept::default());
        let ingest = Ingest::new(kept.clone());
        for n in 0..3 {
            let long = "x".repeat(AT_ONCE * (n % 2));
            let frame = format!(
                r#"LOGS{{"pad":"{long}","resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{n}"}}}}]}}]}}]}}"#
            );
            ingest.take(frame.into()).await;
        }
        assert_eq!(*kept.0.lock().unwrap(), ["record 0", "record 1", "record 2"]);
    }

    #[test]
    fn millions_of_empty_things_cost_nothing() {
        let empty = vec!["{}"; 100_000].join(",");
        let spans =
            format!(r#"OTLP{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{empty}]}}]}}]}}"#);
        let resources = format!(r#"OTLP{{"resourceSpans":[{empty}]}}"#);
        let words = read_all(&[spans.as_bytes(), resources.as_bytes()]);
        assert_eq!(words, ["100000 spans refused"]);
    }
}
