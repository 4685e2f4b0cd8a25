//! Spans without secrets: also those that handlers open themselves.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::payload::Redact;
use iii_wire::secret::REDACTED;

/// Hands spans to another exporter, without the values of attributes whose names are those of secrets.
#[derive(Debug)]
pub(super) struct Clean<E> {
    exporter: E,
    redact: Redact,
}

impl<E> Clean<E> {
    pub(super) fn new(exporter: E, redact: Redact) -> Self {
        Self { exporter, redact }
    }

    fn clean(&self, span: &mut SpanData) {
        let hide = |attributes: &mut Vec<KeyValue>| {
            for one in attributes.iter_mut().filter(|one| self.redact.hides(one.key.as_str())) {
                one.value = REDACTED.into();
            }
        };
        hide(&mut span.attributes);
        span.events.events.iter_mut().for_each(|event| hide(&mut event.attributes));
    }
}

impl<E: SpanExporter> SpanExporter for Clean<E> {
    fn export(&self, mut batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        batch.iter_mut().for_each(|span| self.clean(span));
        self.exporter.export(batch)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
