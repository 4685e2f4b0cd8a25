//! Logs: functions that write records, a ring of the newest, and triggers that fire for them (protocol sections 5.8
//! and 6.7).

mod record;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::broker::{Broker, Request, lock};
use super::provider::{Binding, BuiltIn, Call, Provider, TriggerTypeInfo, schema, to_payload};
use crate::protocol::{ErrorBody, Payload, TriggerId};

use record::{Record, Severity};

/// The config of a `log` binding.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
struct LogConfig {
    /// Which records: `all`, or exactly those of one level. Default `all`.
    #[serde(default)]
    level: Level,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    All,
    #[serde(untagged)]
    One(Severity),
}

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
#[derive(Debug, Deserialize, schemars::JsonSchema)]
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
    severity_min: Option<u8>,
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
            && self.severity_min.is_none_or(|least| record.severity_number >= least)
            && self
                .severity_text
                .as_ref()
                .is_none_or(|word| word.eq_ignore_ascii_case(record.severity_text))
    }
}

/// The records of a query.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Page {
    /// The records, oldest first.
    logs: Vec<Record>,
    /// How many match in all.
    total: usize,
    /// What was asked.
    query: Map<String, Value>,
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

/// The provider of the trigger type `log` and of `engine::log::*`.
pub(crate) struct Logs {
    broker: Broker,
    bindings: Mutex<HashMap<TriggerId, (Arc<Binding>, Level)>>,
    records: Mutex<VecDeque<Arc<Record>>>,
}

impl Logs {
    /// A provider without records.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, bindings: Mutex::default(), records: Mutex::default() }
    }

    /// Keeps a record and tells those who listen.
    fn write(
        &self,
        severity: Severity,
        input: Input,
        call: &Call,
    ) -> Result<Option<()>, ErrorBody> {
        let since = self.broker.clock().now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since.unwrap_or(Duration::ZERO).as_nanos();
        let now = u64::try_from(nanos).unwrap_or(u64::MAX);
        let attributes = match input.data {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data,
            Some(other) => Map::from_iter([("data".to_owned(), other)]),
        };
        // `version-trace-span-flags`; the call's own trace counts where the record names none.
        let part_of = |n| Some(call.traceparent.as_deref()?.split('-').nth(n)?.to_owned());
        let service_name = input.service_name.unwrap_or_else(|| "unknown".to_owned());
        let record = Arc::new(Record {
            timestamp_unix_nano: now,
            observed_timestamp_unix_nano: now,
            severity_number: severity.number(),
            severity_text: severity.text(),
            body: input.message,
            attributes,
            trace_id: input.trace_id.or_else(|| part_of(1)),
            span_id: input.span_id.or_else(|| part_of(2)),
            resource: Map::from_iter([("service.name".to_owned(), Value::from("iii"))]),
            service_name,
            instrumentation_scope_name: "iii".to_owned(),
            instrumentation_scope_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        {
            let mut records = lock(&self.records);
            if records.len() >= self.broker.limits().logs {
                records.pop_front();
            }
            records.push_back(record.clone());
        }
        let mut listeners: Vec<_> = lock(&self.bindings)
            .values()
            .filter(|(_, level)| *level == Level::All || *level == Level::One(severity))
            .map(|(binding, _)| binding.clone())
            .collect();
        if !listeners.is_empty() {
            listeners.sort_by(|a, b| a.id.cmp(&b.id));
            let data: Payload = to_payload(&*record)?;
            for binding in listeners {
                self.broker.fire(Request::fired(&binding, data.clone()));
            }
        }
        Ok(None)
    }

    fn list(&self, query: &Query, asked: &Payload) -> Page {
        // The newest first: of a long list, the first page is what happened just now.
        let records = lock(&self.records);
        let matching: Vec<_> =
            records.iter().rev().filter(|record| query.matches(record)).cloned().collect();
        drop(records);
        let total = matching.len();
        let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(100));
        Page {
            logs: matching.iter().skip(offset).take(limit).map(|one| Record::clone(one)).collect(),
            total,
            query: asked.parse().unwrap_or_default(),
            timestamp: self.broker.clock().unix_millis(),
        }
    }

    fn clear(&self) -> Cleared {
        lock(&self.records).clear();
        Cleared { success: true }
    }
}

impl Provider for Logs {
    fn name(&self) -> &'static str {
        "iii-observability"
    }

    fn description(&self) -> &'static str {
        "Keep log records and react to them."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "log",
            description: "Fires for log records of one level, or of all.",
            config_schema: schema::<LogConfig>(),
            request_schema: schema::<Record>(),
        }]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
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
                logs.write(severity, input, &call)
            })
        });
        let (list, clear) = (self.clone(), self);
        let mut functions = Vec::from(writers);
        functions.push(BuiltIn::sync(
            "engine::logs::list",
            "Lists the newest log records.",
            move |query: Query, call| Ok(Some(list.list(&query, &call.data))),
        ));
        functions.push(BuiltIn::sync(
            "engine::logs::clear",
            "Forgets all log records.",
            move |_: Nothing, _| Ok(Some(clear.clear())),
        ));
        functions
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: LogConfig = binding.config()?;
        lock(&self.bindings).insert(binding.id.clone(), (binding.clone(), config.level));
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        lock(&self.bindings).remove(&binding.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::broker::testing::{Worker, broker, with_provider};

    async fn setup() -> Worker {
        let broker = broker();
        with_provider(&broker, Logs::new(broker.clone()));
        let mut worker = Worker::named(&broker, "w").await;
        worker.function("l::on");
        worker.nothing_else().await;
        worker
    }

    #[tokio::test]
    async fn a_listener_gets_the_records_of_its_level() {
        let mut worker = setup().await;
        worker.bind("l1", "log", "l::on", r#"{"level":"all"}"#);
        worker.bind("l1", "log", "l::on", r#"{"level":"error"}"#);
        worker.call("engine::log::info", r#"{"message":"quiet"}"#).await.unwrap();
        let id =
            worker.start("engine::log::error", r#"{"message":"hi","data":{"a":1},"trace_id":"t"}"#);
        let call = worker.called().await;
        assert_eq!(worker.answer_to(id).await, Ok(None));
        let record: Value = call.data.parse().unwrap();
        assert_eq!(record["severity_text"], "ERROR");
        assert_eq!(record["severity_number"], 17);
        assert_eq!((&record["body"], &record["attributes"]["a"]), (&"hi".into(), &1.into()));
        assert_eq!(
            (&record["service_name"], &record["trace_id"]),
            (&"unknown".into(), &"t".into())
        );
        worker.bind("l1", "log", "l::on", r#"{"level":"loud"}"#);
        assert_eq!(worker.binding_error().await.error.unwrap().code, "trigger_registration_failed");
    }

    #[tokio::test]
    async fn the_newest_records_are_kept() {
        let mut worker = setup().await;
        let kept = crate::engine::config::Limits::default().logs;
        for n in 0..kept + 5 {
            worker.void("engine::log::debug", &format!(r#"{{"message":"{n}","data":7}}"#));
        }
        worker.void("engine::log::warn", r#"{"message":"last"}"#);
        let list = |answer: Option<Payload>| answer.unwrap().parse::<Value>().unwrap();
        let all = list(worker.call("engine::logs::list", r#"{"limit":1}"#).await.unwrap());
        assert_eq!((&all["total"], &all["logs"][0]["body"]), (&kept.into(), &"last".into()));
        let oldest = format!(r#"{{"offset":{}}}"#, kept - 1);
        let all = list(worker.call("engine::logs::list", &oldest).await.unwrap());
        assert_eq!(all["logs"][0]["body"], "6");
        assert_eq!(all["logs"][0]["attributes"]["data"], 7);
        let warnings =
            list(worker.call("engine::logs::list", r#"{"severity_min":13}"#).await.unwrap());
        assert_eq!(warnings["total"], 1);
        worker.call("engine::logs::clear", "{}").await.unwrap();
        let none = list(worker.call("engine::logs::list", "{}").await.unwrap());
        assert_eq!(none["total"], 0);
    }
}
