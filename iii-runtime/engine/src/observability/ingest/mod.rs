//! Ingest of telemetry frames: parses OTLP/JSON to spans, data points and log records ([protocol 1.6](iii_wire::protocol#s1-6)).

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

use super::logs::{AttributeMap, LogRecord};
use super::metrics::DataPoint;
use super::traces::Span;
use json::{FieldPair, JsonStr, for_each_element, parse};
use value::{KeyValues, truncate_name};

/// Maximum size of a frame that is parsed on the thread of its connection. Larger frames use the blocking thread pool.
const MAX_INLINE_BYTES: usize = 16 << 10;
/// Maximum number of larger frames that are parsed concurrently, over all connections.
const MAX_CONCURRENT_LARGE_FRAMES: usize = 4;
/// Maximum number of items that are passed to the sink at once.
const BATCH_SIZE: usize = 256;

/// Receives the telemetry of frames.
pub(super) trait TelemetrySink: Send + Sync + 'static {
    /// Receives spans.
    fn spans(&self, spans: Vec<Span>);
    /// Receives metric data points.
    fn data_points(&self, points: Vec<DataPoint>);
    /// Receives log records.
    fn log_records(&self, records: Vec<LogRecord>);
    /// Receives the number of invalid spans in a frame.
    fn dropped_spans(&self, count: u64);
}

/// Parses telemetry frames into a sink.
///
/// A frame is parsed in place, one item at a time, so that the memory for a frame is the frame itself and what the sink
/// retains. A frame that is not valid JSON is dropped as a whole; an invalid item is dropped alone and counted.
pub(super) struct TelemetryIngest<S> {
    sink: Arc<S>,
    large_frames: Arc<Semaphore>,
}

impl<S: TelemetrySink> TelemetryIngest<S> {
    /// Creates an ingest into `sink`.
    pub(super) fn new(sink: Arc<S>) -> Self {
        Self { sink, large_frames: Arc::new(Semaphore::new(MAX_CONCURRENT_LARGE_FRAMES)) }
    }

    /// Ingests a frame. The future completes when its telemetry is stored; awaiting it keeps frames in order.
    pub(super) fn ingest(&self, frame: Bytes) -> BoxFuture<'static, ()> {
        let sink = self.sink.clone();
        if frame.len() <= MAX_INLINE_BYTES {
            ingest_catching_panics(&*sink, &frame);
            return std::future::ready(()).boxed();
        }
        let large_frames = self.large_frames.clone();
        async move {
            let Ok(_permit) = large_frames.acquire().await else { return };
            let task = tokio::task::spawn_blocking(move || ingest_catching_panics(&*sink, &frame));
            // The task fails only when the runtime shuts down.
            let _ = task.await;
        }
        .boxed()
    }
}

/// Ingests a frame. A panic drops the frame and keeps its connection open.
fn ingest_catching_panics(sink: &impl TelemetrySink, frame: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| ingest(sink, frame))).is_err() {
        tracing::error!("dropped a telemetry frame: the parser panicked");
    }
}

fn ingest(sink: &impl TelemetrySink, frame: &[u8]) {
    let Some((prefix, body)) = frame.split_at_checked(4) else { return };
    let Ok(json) = std::str::from_utf8(body) else {
        return tracing::warn!("dropped a telemetry frame: it is not UTF-8");
    };
    let outcome = match prefix {
        b"OTLP" => parse_items(json, &SPANS, spans::read, |spans| sink.spans(spans)),
        b"MTRC" => parse_items(json, &METRICS, metrics::read, |points| sink.data_points(points)),
        b"LOGS" => parse_items(json, &LOGS, logs::read, |records| sink.log_records(records)),
        _ => return,
    };
    let prefix = String::from_utf8_lossy(prefix);
    match outcome {
        Err(error) => {
            tracing::warn!("dropped a telemetry frame `{prefix}`: {}", abbreviate(&error));
        }
        Ok(DroppedItems { count: 0, .. }) => {}
        Ok(DroppedItems { count, signal, first_error }) => {
            let error = first_error.as_ref().map(abbreviate).unwrap_or_default();
            tracing::warn!("dropped {count} {signal} of a telemetry frame; the first: {error}");
            if signal == SPANS.signal {
                sink.dropped_spans(count);
            }
        }
    }
}

/// Returns the beginning of an error message, which may quote any amount of the frame.
fn abbreviate(error: &serde_json::Error) -> String {
    error.to_string().chars().take(200).collect()
}

/// The JSON keys of an OTLP export request, from the outermost array to the items.
struct RequestKeys {
    signal: &'static str,
    resources: &'static str,
    scopes: &'static str,
    items: &'static str,
}

const SPANS: RequestKeys = RequestKeys {
    signal: "spans",
    resources: "resourceSpans",
    scopes: "scopeSpans",
    items: "spans",
};
const METRICS: RequestKeys = RequestKeys {
    signal: "metrics",
    resources: "resourceMetrics",
    scopes: "scopeMetrics",
    items: "metrics",
};
const LOGS: RequestKeys = RequestKeys {
    signal: "logs",
    resources: "resourceLogs",
    scopes: "scopeLogs",
    items: "logRecords",
};

/// The invalid items of a frame.
#[derive(Default)]
struct DroppedItems {
    count: u64,
    signal: &'static str,
    first_error: Option<serde_json::Error>,
}

/// The resource and the instrumentation scope of an item.
#[derive(Clone)]
struct ItemContext {
    service_name: Arc<str>,
    resource: Arc<AttributeMap>,
    scope_name: Arc<str>,
    scope_version: Option<Arc<str>>,
}

/// Parses the items of an export request with `read`, and passes the results to `emit_batch`.
fn parse_items<T>(
    json: &str,
    keys: &RequestKeys,
    read: impl Fn(&RawValue, &ItemContext, &mut dyn FnMut(T)) -> Result<(), serde_json::Error>,
    emit_batch: impl Fn(Vec<T>),
) -> Result<DroppedItems, serde_json::Error> {
    let mut dropped = DroppedItems { signal: keys.signal, ..DroppedItems::default() };
    let mut batch = Vec::new();
    // This validates the whole frame: it is JSON from here on.
    let [resources, _] = parse(json, FieldPair([keys.resources, ""]))?;
    let Some(resources) = resources else { return Ok(dropped) };
    for_each_element(resources, FieldPair(["resource", keys.scopes]), |[resource, scopes]| {
        let resource = ItemContext::from_resource(resource)?;
        let Some(scopes) = scopes else { return Ok(()) };
        for_each_element(scopes, FieldPair(["scope", keys.items]), |[scope, items]| {
            let context = resource.with_scope(scope)?;
            let Some(items) = items else { return Ok(()) };
            for_each_element(items, std::marker::PhantomData::<&RawValue>, |item| {
                // One metric may have millions of data points, so the batch size is checked after each.
                let mut emit = |parsed| {
                    batch.push(parsed);
                    if batch.len() >= BATCH_SIZE {
                        emit_batch(std::mem::take(&mut batch));
                    }
                };
                if let Err(error) = read(item, &context, &mut emit) {
                    dropped.count += 1;
                    dropped.first_error.get_or_insert(error);
                }
                Ok(())
            })
        })
    })?;
    if !batch.is_empty() {
        emit_batch(batch);
    }
    Ok(dropped)
}

#[derive(Default, Deserialize)]
struct OtlpResource<'a> {
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
}

#[derive(Default, Deserialize)]
struct OtlpScope<'a> {
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    version: Option<JsonStr<'a>>,
}

impl ItemContext {
    /// Parses a resource. The scope is empty.
    fn from_resource(json: Option<&RawValue>) -> Result<Self, serde_json::Error> {
        let resource: OtlpResource<'_> = match json {
            Some(json) => serde_json::from_str(json.get())?,
            None => OtlpResource::default(),
        };
        let mut attributes = resource.attributes.0.iter();
        let name = attributes.find(|attribute| attribute.key.0 == "service.name");
        let name = name.map(value::OtlpKeyValue::text).filter(|name| !name.is_empty());
        Ok(Self {
            service_name: name.as_deref().map_or("unknown", truncate_name).into(),
            resource: Arc::new(value::attribute_map(&resource.attributes)),
            scope_name: "".into(),
            scope_version: None,
        })
    }

    /// Parses a scope of the resource.
    fn with_scope(&self, json: Option<&RawValue>) -> Result<Self, serde_json::Error> {
        let scope: OtlpScope<'_> = match json {
            Some(json) => serde_json::from_str(json.get())?,
            None => OtlpScope::default(),
        };
        let text = |text: JsonStr<'_>| Arc::from(truncate_name(&text.0));
        Ok(Self {
            scope_name: scope.name.map_or_else(|| "".into(), text),
            scope_version: scope.version.map(text),
            ..self.clone()
        })
    }
}

/// Returns whether a string is absent or empty.
fn is_empty(text: &Option<JsonStr<'_>>) -> bool {
    text.as_ref().is_none_or(|text| text.0.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use iii_wire::sync::lock;
    use std::sync::Mutex;

    /// Records a description of each item.
    #[derive(Default)]
    struct RecordingSink(Mutex<Vec<String>>);

    impl RecordingSink {
        fn add(&self, items: impl IntoIterator<Item = String>) {
            lock(&self.0).extend(items);
        }
    }

    impl TelemetrySink for RecordingSink {
        fn spans(&self, spans: Vec<Span>) {
            self.add(spans.iter().map(|span| format!("span {}", span.name)));
        }

        fn data_points(&self, points: Vec<DataPoint>) {
            self.add(points.iter().map(|point| format!("point {}", point.name)));
        }

        fn log_records(&self, records: Vec<LogRecord>) {
            self.add(records.iter().map(|record| format!("record {}", record.body)));
        }

        fn dropped_spans(&self, count: u64) {
            self.add([format!("{count} spans dropped")]);
        }
    }

    fn ingest_all(frames: &[&[u8]]) -> Vec<String> {
        let sink = RecordingSink::default();
        for frame in frames {
            ingest_catching_panics(&sink, frame);
        }
        sink.0.into_inner().unwrap()
    }

    const IDS: &str = r#""traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7""#;

    #[test]
    fn invalid_frames_are_dropped_as_a_whole_and_invalid_spans_alone() {
        let spans = |inner: &str| {
            format!(r#"OTLP{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{inner}]}}]}}]}}"#)
        };
        let valid = format!(r#"{{{IDS},"name":"a"}}"#);
        let mixed = spans(&format!(r#"{valid},{{"name":7}},{{{IDS},"name":"b"}}"#));
        let truncated = &spans(&valid)[..60];
        let frames: [&[u8]; 9] = [
            mixed.as_bytes(),
            truncated.as_bytes(),
            b"OTLP\xff\xfe",
            b"OTLP",
            b"OTLP[]",
            b"OTLPnull",
            b"OTLP{\"resourceSpans\":7}",
            b"OTLP{\"resourceSpans\":[null]}",
            b"OTLP{}",
        ];
        assert_eq!(ingest_all(&frames), ["span a", "span b", "1 spans dropped"]);
    }

    #[test]
    fn prefix_determines_the_kind_of_request() {
        let logs = br#"LOGS{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hi"}}]}]}]}"#;
        let metrics = br#"MTRC{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;
        let wrong = br#"OTLP{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
        assert_eq!(ingest_all(&[logs, metrics, wrong]), ["record hi", "point m"]);
    }

    #[tokio::test]
    async fn large_and_small_frames_keep_their_order() {
        let sink = Arc::new(RecordingSink::default());
        let ingest = TelemetryIngest::new(sink.clone());
        for n in 0..3 {
            let long = "x".repeat(MAX_INLINE_BYTES * (n % 2));
            let frame = format!(
                r#"LOGS{{"pad":"{long}","resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{n}"}}}}]}}]}}]}}"#
            );
            ingest.ingest(frame.into()).await;
        }
        assert_eq!(*lock(&sink.0), ["record 0", "record 1", "record 2"]);
    }

    #[test]
    fn many_empty_items_are_handled() {
        let empty = vec!["{}"; 100_000].join(",");
        let spans =
            format!(r#"OTLP{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{empty}]}}]}}]}}"#);
        let resources = format!(r#"OTLP{{"resourceSpans":[{empty}]}}"#);
        let items = ingest_all(&[spans.as_bytes(), resources.as_bytes()]);
        assert_eq!(items, ["100000 spans dropped"]);
    }
}
