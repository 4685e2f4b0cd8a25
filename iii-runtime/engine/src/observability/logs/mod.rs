//! Log records that workers export or write by `engine::log::*`: their store, functions and triggers ([protocol 5.8](iii_wire::protocol#s5-8), [6.7](iii_wire::protocol#s6-7), [10.3](iii_wire::protocol#s10-3)).

mod record;
mod triggers;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::loop_guard::LoopGuard;
use super::retention::RetentionBuffer;
use super::serialize_arc::SerializeArc;
use super::settings::{LogSettings, ObservabilitySettings};
use super::traces::TraceId;
use super::{ClearOutput, NoInput, nanos_range, unix_nanos};
use crate::broker::Broker;
use crate::function_ids::{LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_TRACE, LOG_WARN};
use crate::provider::{Binding, BuiltIn, Call};
use iii_wire::protocol::{ErrorBody, TriggerId};
use iii_wire::sync::lock;

pub(super) use record::{AttributeMap, LogRecord, Severity, json_footprint};
pub(super) use triggers::LogTriggerConfig;

use triggers::{LogTriggers, RecordSource};

/// Input of `engine::log::*`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct LogWriteInput {
    /// The message.
    message: String,
    /// The attributes. A value that is not an object becomes the attribute `data`.
    #[serde(default)]
    data: Option<Value>,
    /// The trace id. Default: the trace of the call.
    trace_id: Option<String>,
    /// The span id. Default: the span of the call.
    span_id: Option<String>,
    /// The service name. Default: `unknown`.
    service_name: Option<String>,
}

/// Input of `engine::logs::list`. An absent filter matches everything.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct LogListInput {
    /// The earliest timestamp, in milliseconds since the Unix epoch.
    start_time: Option<u64>,
    /// The latest timestamp, in milliseconds since the Unix epoch.
    end_time: Option<u64>,
    /// The trace id. Matched exactly.
    trace_id: Option<String>,
    /// The span id. Matched exactly.
    span_id: Option<String>,
    /// The minimum severity number.
    severity_min: Option<i32>,
    /// The severity text. Ignores case.
    severity_text: Option<String>,
    /// The number of records to skip. Default: 0.
    offset: Option<usize>,
    /// The maximum number of records. Default: 100.
    limit: Option<usize>,
}

impl LogListInput {
    fn matches(&self, record: &LogRecord) -> bool {
        let equals = |filter: &Option<String>, id: &Option<String>| {
            filter.as_ref().is_none_or(|filter| id.as_ref() == Some(filter))
        };
        nanos_range(self.start_time, self.end_time).contains(&record.timestamp_unix_nano)
            && equals(&self.trace_id, &record.trace_id)
            && equals(&self.span_id, &record.span_id)
            && self.severity_min.is_none_or(|min| i32::from(record.severity_number) >= min)
            && self
                .severity_text
                .as_ref()
                .is_none_or(|text| text.eq_ignore_ascii_case(&record.severity_text))
    }
}

/// Output of `engine::logs::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct LogListOutput {
    /// The records, the newest first.
    logs: Vec<SerializeArc<LogRecord>>,
    /// The number of all matching records.
    total: usize,
    /// The input.
    query: LogListInput,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// The log records of one engine, and the triggers that fire on them.
pub(super) struct Logs {
    broker: Broker,
    settings: LogSettings,
    /// The resource of the records of `engine::log::*`.
    resource: Arc<AttributeMap>,
    scope: Arc<str>,
    version: Arc<str>,
    records: Mutex<RetentionBuffer<LogRecord>>,
    /// The accumulated sampling ratio; a record is sampled when it reaches 1.
    sampling_accumulator: Mutex<f64>,
    triggers: LogTriggers,
}

impl Logs {
    /// Creates an empty store.
    pub(super) fn new(
        broker: Broker,
        settings: &ObservabilitySettings,
        loop_guard: Arc<LoopGuard>,
    ) -> Self {
        let mut resource = Map::new();
        resource.insert("service.name".to_owned(), settings.service_name.clone().into());
        if let Some(version) = &settings.service_version {
            resource.insert("service.version".to_owned(), version.clone().into());
        }
        if let Some(namespace) = &settings.service_namespace {
            resource.insert("service.namespace".to_owned(), namespace.clone().into());
        }
        let mut logs = settings.logs.clone();
        logs.enabled &= settings.enabled;
        Self {
            triggers: LogTriggers::new(broker.clone(), loop_guard),
            broker,
            resource: Arc::new(resource),
            scope: "iii".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            records: Mutex::new(RetentionBuffer::new(logs.max_count, logs.retention)),
            sampling_accumulator: Mutex::new(0.0),
            settings: logs,
        }
    }

    /// Returns the number of records.
    pub(super) fn len(&self) -> usize {
        let mut records = lock(&self.records);
        records.evict(self.now());
        records.len()
    }

    /// Adds a `log` trigger, replacing the one with the same id.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.triggers.bind(binding)
    }

    /// Removes a `log` trigger.
    pub(super) fn unbind(&self, id: &TriggerId) {
        self.triggers.unbind(id);
    }

    /// Stores the records of a telemetry frame.
    pub(super) fn store(&self, records: Vec<LogRecord>) {
        let now = self.now();
        for mut record in records {
            if record.observed_timestamp_unix_nano == 0 {
                record.observed_timestamp_unix_nano = now;
            }
            if record.timestamp_unix_nano == 0 {
                record.timestamp_unix_nano = record.observed_timestamp_unix_nano;
            }
            self.add(record, RecordSource::Telemetry, now);
        }
    }

    /// Stores a record, emits it as a `tracing` event, and fires triggers.
    fn add(&self, record: LogRecord, source: RecordSource, now: u64) {
        if !self.settings.enabled || !self.sample() {
            return;
        }
        if self.settings.console && !is_from_local_worker(&record) {
            emit(&record);
        }
        let record = Arc::new(record);
        lock(&self.records).push(record.clone(), now);
        self.triggers.fire(&record, source);
    }

    /// Returns whether the next record is sampled. With a ratio of 0.25, every fourth record is.
    fn sample(&self) -> bool {
        if self.settings.sampling_ratio >= 1.0 {
            return true;
        }
        let mut accumulator = lock(&self.sampling_accumulator);
        *accumulator += self.settings.sampling_ratio;
        let is_sampled = *accumulator >= 1.0;
        if is_sampled {
            *accumulator -= 1.0;
        }
        is_sampled
    }

    /// Stores a record of `engine::log::*`.
    fn write(&self, severity: Severity, input: LogWriteInput, call: &Call) {
        let attributes = match input.data {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data,
            Some(other) => Map::from_iter([("data".to_owned(), other)]),
        };
        // The parts of `traceparent` are version, trace id, span id and flags.
        let traceparent_part = |n| Some(call.traceparent.as_deref()?.split('-').nth(n)?.to_owned());
        let now = self.now();
        let record = LogRecord {
            timestamp_unix_nano: now,
            observed_timestamp_unix_nano: now,
            severity_number: severity.number(),
            severity_text: severity.text().into(),
            body: input.message,
            attributes,
            trace_id: input.trace_id.or_else(|| traceparent_part(1)),
            span_id: input.span_id.or_else(|| traceparent_part(2)),
            resource: self.resource.clone(),
            service_name: input.service_name.as_deref().unwrap_or("unknown").into(),
            instrumentation_scope_name: self.scope.clone(),
            instrumentation_scope_version: Some(self.version.clone()),
        };
        let trace = call.traceparent.as_deref().and_then(TraceId::from_traceparent);
        self.add(record, RecordSource::Call { caller: call.caller, trace }, now);
    }

    fn list(&self, query: LogListInput) -> LogListOutput {
        let mut records = lock(&self.records);
        records.evict(self.now());
        let newest_first = records.iter().rev().map(|(_, record)| record);
        let matching: Vec<_> =
            newest_first.filter(|record| query.matches(record)).cloned().collect();
        drop(records);
        let total = matching.len();
        let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(100));
        LogListOutput {
            logs: matching.into_iter().skip(offset).take(limit).map(SerializeArc).collect(),
            total,
            query,
            timestamp: self.broker.clock().unix_millis(),
        }
    }

    fn now(&self) -> u64 {
        unix_nanos(self.broker.clock())
    }

    /// Creates the functions `engine::log::*` and `engine::logs::*`.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let writers = [
            (LOG_TRACE, "Writes a log record of level trace.", Severity::Trace),
            (LOG_DEBUG, "Writes a log record of level debug.", Severity::Debug),
            (LOG_INFO, "Writes a log record of level info.", Severity::Info),
            (LOG_WARN, "Writes a log record of level warn.", Severity::Warn),
            (LOG_ERROR, "Writes a log record of level error.", Severity::Error),
        ];
        let writers = writers.map(|(id, description, severity)| {
            let logs = self.clone();
            BuiltIn::sync(id, description, move |input: LogWriteInput, call| {
                logs.write(severity, input, &call);
                Ok(None::<()>)
            })
        });
        let (list, clear) = (self.clone(), self.clone());
        let mut functions = Vec::from(writers);
        functions.push(BuiltIn::sync(
            "engine::logs::list",
            "Lists the newest log records.",
            move |query: LogListInput, _| Ok(Some(list.list(query))),
        ));
        functions.push(BuiltIn::sync(
            "engine::logs::clear",
            "Deletes all log records.",
            move |_: NoInput, _| {
                lock(&clear.records).clear();
                Ok(Some(ClearOutput { success: true }))
            },
        ));
        functions
    }
}

/// Returns whether a worker in this process exported the record, which was a `tracing` event there already.
fn is_from_local_worker(record: &LogRecord) -> bool {
    let instance = record.resource.get("service.instance.id").and_then(Value::as_str);
    instance.is_some_and(iii_wire::local_instances::contains)
}

/// Emits a record as a `tracing` event.
fn emit(record: &LogRecord) {
    let (service, body) = (&*record.service_name, record.body.as_str());
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(target: "iii::log", tracing::Level::$level, service, "{body}")
        };
    }
    match record.severity() {
        Some(Severity::Error) => event!(ERROR),
        Some(Severity::Warn) => event!(WARN),
        Some(Severity::Info) | None => event!(INFO),
        Some(Severity::Debug) => event!(DEBUG),
        Some(Severity::Trace) => event!(TRACE),
    }
}
