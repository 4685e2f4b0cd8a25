//! Events of `tracing` as log records of the worker that they happen in ([protocol 10.3](crate::protocol#s10-3)).

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::{Context, Key};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;

use super::context::pipeline_of;
use super::payload::Redact;
use iii_wire::secret::REDACTED;

/// Structured data of a record, as the loggers of the SDKs name it.
const DATA: &str = "log.data";

/// Writes each event as a log record.
#[derive(Debug)]
pub(super) struct Events;

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let Some(pipeline) = Context::map_current(pipeline_of) else { return };
        let metadata = event.metadata();
        let mut fields = Fields { redact: &pipeline.redact, message: None, data: HashMap::new() };
        event.record(&mut fields);
        let mut record = pipeline.logger.create_log_record();
        let (severity, text) = match *metadata.level() {
            Level::ERROR => (Severity::Error, "ERROR"),
            Level::WARN => (Severity::Warn, "WARN"),
            Level::INFO => (Severity::Info, "INFO"),
            Level::DEBUG => (Severity::Debug, "DEBUG"),
            Level::TRACE => (Severity::Trace, "TRACE"),
        };
        record.set_severity_number(severity);
        record.set_severity_text(text);
        record.set_timestamp(SystemTime::now());
        record.set_body(fields.message.unwrap_or_default().into());
        record.add_attribute("log.target", metadata.target().to_owned());
        if !fields.data.is_empty() {
            record.add_attributes(fields.data.clone());
            record.add_attribute(DATA, AnyValue::Map(Box::new(fields.data)));
        }
        // The trace and the span are those of the context of now.
        pipeline.logger.emit(record);
    }
}

/// The fields of one event.
struct Fields<'a> {
    redact: &'a Redact,
    message: Option<String>,
    data: HashMap<Key, AnyValue>,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<AnyValue>) {
        let name = field.name();
        // What other libraries put there for themselves.
        if name.starts_with("log.") {
            return;
        }
        let value = if self.redact.hides(name) { REDACTED.into() } else { value.into() };
        self.data.insert(name.into(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = Some(format!("{value:?}"));
        } else {
            self.add(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = Some(value.to_owned());
        } else {
            self.add(field, value.to_owned());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value),
            // OTLP has no larger integers.
            Err(_) => self.add(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }
}
