//! Logs: the records that workers send or write by `engine::log::*`, kept in memory, and triggers that fire for them
//! (protocol sections 5.8, 6.7 and 10.3).

mod record;
mod store;
mod trigger;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chain::Chains;
use super::settings::{LogSettings, ObservabilitySettings};
use super::shared::Shared;
use super::traces::TraceId;
use crate::broker::Broker;
use crate::provider::{Binding, BuiltIn, Call};
use iii_wire::protocol::{ErrorBody, TriggerId};
use iii_wire::sync::lock;

pub(super) use record::{Fields, Record, Severity, of};
pub(super) use trigger::LogConfig;

use store::Store;
use trigger::{Trigger, Writer};

/// The input of `engine::log::*`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Input {
    /// The message.
    message: String,
    /// What goes with it; what is no object is kept under the key `data`.
    #[serde(default)]
    data: Option<Value>,
    /// The trace it belongs to.
    trace_id: Option<String>,
    /// The span it belongs to.
    span_id: Option<String>,
    /// The service. Default `unknown`.
    service_name: Option<String>,
}

/// The input of `engine::logs::list`. What is absent matches everything.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Query {
    /// Milliseconds since 1970; earlier records are left out.
    start_time: Option<u64>,
    /// Milliseconds since 1970; later records are left out.
    end_time: Option<u64>,
    /// The trace, exactly.
    trace_id: Option<String>,
    /// The span, exactly.
    span_id: Option<String>,
    /// The least severity, as a number.
    severity_min: Option<i32>,
    /// The severity, as a word.
    severity_text: Option<String>,
    /// How many to leave out. Default 0.
    offset: Option<usize>,
    /// How many at most. Default 100.
    limit: Option<usize>,
}

impl Query {
    fn matches(&self, record: &Record) -> bool {
        let nanos = |ms: u64| ms.saturating_mul(1_000_000);
        let at = record.timestamp_unix_nano;
        self.start_time.is_none_or(|start| at >= nanos(start))
            && self.end_time.is_none_or(|end| at <= nanos(end).saturating_add(999_999))
            && self.trace_id.as_ref().is_none_or(|id| record.trace_id.as_ref() == Some(id))
            && self.span_id.as_ref().is_none_or(|id| record.span_id.as_ref() == Some(id))
            && self.severity_min.is_none_or(|least| i32::from(record.severity_number) >= least)
            && self
                .severity_text
                .as_ref()
                .is_none_or(|word| word.eq_ignore_ascii_case(&record.severity_text))
    }
}

/// The records of a query.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Page {
    /// The records, newest first: of a long list, the first page is what happened just now.
    logs: Vec<Shared<Record>>,
    /// How many match in all.
    total: usize,
    /// What was asked.
    query: Query,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

/// The answer of `engine::logs::clear`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Cleared {
    /// Always true.
    success: bool,
}

/// The input of functions that need none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// The log records of one engine, and who hears of them.
pub(super) struct Logs {
    broker: Broker,
    settings: LogSettings,
    /// What the engine says of itself in the records of `engine::log::*`.
    resource: Arc<Fields>,
    scope: Arc<str>,
    version: Arc<str>,
    store: Mutex<Store>,
    /// How far the share of records that are kept has got to the next whole one.
    share: Mutex<f64>,
    trigger: Trigger,
}

impl Logs {
    /// Without records.
    pub(super) fn new(
        broker: Broker,
        settings: &ObservabilitySettings,
        chains: Arc<Chains>,
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
        let retention = u64::try_from(logs.retention.as_nanos()).unwrap_or(u64::MAX);
        Self {
            trigger: Trigger::new(broker.clone(), chains),
            broker,
            resource: Arc::new(resource),
            scope: "iii".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            store: Mutex::new(Store::new(logs.max_count, retention)),
            share: Mutex::new(0.0),
            settings: logs,
        }
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        let mut store = lock(&self.store);
        store.forget_old(self.now());
        store.len()
    }

    /// Takes a binding.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.trigger.bind(binding)
    }

    /// Gives a binding up.
    pub(super) fn unbind(&self, id: &TriggerId) {
        self.trigger.unbind(id);
    }

    /// Keeps records that came in a telemetry frame.
    pub(super) fn keep(&self, records: Vec<Record>) {
        let now = self.now();
        for mut record in records {
            if record.observed_timestamp_unix_nano == 0 {
                record.observed_timestamp_unix_nano = now;
            }
            if record.timestamp_unix_nano == 0 {
                record.timestamp_unix_nano = record.observed_timestamp_unix_nano;
            }
            self.add(record, Writer::Frame, now);
        }
    }

    /// Keeps a record, shows it and tells those who listen.
    fn add(&self, record: Record, writer: Writer, now: u64) {
        if !self.settings.enabled || !self.is_sampled() {
            return;
        }
        if self.settings.console && !is_shown(&record) {
            show(&record);
        }
        let record = Arc::new(record);
        lock(&self.store).push(record.clone(), now);
        self.trigger.fire(&record, writer);
    }

    /// Whether the next record is one of those that are kept: with a share of a fourth, each fourth one is.
    fn is_sampled(&self) -> bool {
        if self.settings.sampling_ratio >= 1.0 {
            return true;
        }
        let mut share = lock(&self.share);
        *share += self.settings.sampling_ratio;
        let is_whole = *share >= 1.0;
        if is_whole {
            *share -= 1.0;
        }
        is_whole
    }

    /// Writes a record of `engine::log::*`.
    fn write(&self, severity: Severity, input: Input, call: &Call) {
        let attributes = match input.data {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data,
            Some(other) => Map::from_iter([("data".to_owned(), other)]),
        };
        // `version-trace-span-flags`; the call's own trace counts where the record names none.
        let part_of = |n| Some(call.traceparent.as_deref()?.split('-').nth(n)?.to_owned());
        let now = self.now();
        let record = Record {
            timestamp_unix_nano: now,
            observed_timestamp_unix_nano: now,
            severity_number: severity.number(),
            severity_text: severity.text().into(),
            body: input.message,
            attributes,
            trace_id: input.trace_id.or_else(|| part_of(1)),
            span_id: input.span_id.or_else(|| part_of(2)),
            resource: self.resource.clone(),
            service_name: input.service_name.as_deref().unwrap_or("unknown").into(),
            instrumentation_scope_name: self.scope.clone(),
            instrumentation_scope_version: Some(self.version.clone()),
        };
        let trace = call.traceparent.as_deref().and_then(TraceId::of_traceparent);
        self.add(record, Writer::Call { caller: call.caller, trace }, now);
    }

    fn list(&self, query: Query) -> Page {
        let mut store = lock(&self.store);
        store.forget_old(self.now());
        let matching: Vec<_> =
            store.newest_first().filter(|record| query.matches(record)).cloned().collect();
        drop(store);
        let total = matching.len();
        let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(100));
        Page {
            logs: matching.into_iter().skip(offset).take(limit).map(Shared).collect(),
            total,
            query,
            timestamp: self.broker.clock().unix_millis(),
        }
    }

    fn now(&self) -> u64 {
        let since = self.broker.clock().now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The functions that write and read records.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let writers = [
            ("engine::log::trace", "Writes a record of level trace.", Severity::Trace),
            ("engine::log::debug", "Writes a record of level debug.", Severity::Debug),
            ("engine::log::info", "Writes a record of level info.", Severity::Info),
            ("engine::log::warn", "Writes a record of level warn.", Severity::Warn),
            ("engine::log::error", "Writes a record of level error.", Severity::Error),
        ];
        let writers = writers.map(|(id, description, severity)| {
            let logs = self.clone();
            BuiltIn::sync(id, description, move |input: Input, call| {
                logs.write(severity, input, &call);
                Ok(None::<()>)
            })
        });
        let (list, clear) = (self.clone(), self.clone());
        let mut functions = Vec::from(writers);
        functions.push(BuiltIn::sync(
            "engine::logs::list",
            "Lists the newest log records.",
            move |query: Query, _| Ok(Some(list.list(query))),
        ));
        functions.push(BuiltIn::sync(
            "engine::logs::clear",
            "Forgets all log records.",
            move |_: Nothing, _| {
                lock(&clear.store).clear();
                Ok(Some(Cleared { success: true }))
            },
        ));
        functions
    }
}

/// Whether a record was an event of `tracing` already: that of a worker in this process.
fn is_shown(record: &Record) -> bool {
    let instance = record.resource.get("service.instance.id").and_then(Value::as_str);
    instance.is_some_and(iii_wire::local_instances::contains)
}

/// Shows a record as an event of `tracing`.
fn show(record: &Record) {
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
