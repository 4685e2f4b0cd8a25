//! Exporters of OpenTelemetry that write frames for the engine: OTLP/JSON with a prefix ([protocol 1.6](crate::protocol#s1-6)).

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde::Serialize;

use super::frames::{FRAME, Frames};

/// Writes frames. It never waits: what there is no room for is dropped, and counted.
#[derive(Debug)]
pub(super) struct Exporter {
    frames: Arc<Frames>,
    resource: ResourceAttributesWithSchema,
}

impl Exporter {
    pub(super) fn new(frames: Arc<Frames>) -> Self {
        Self { frames, resource: ResourceAttributesWithSchema::default() }
    }

    /// Writes the frame of a batch, in halves if it is too long for one.
    fn write<T>(&self, prefix: &str, batch: &[T], request: &dyn Fn(&[T]) -> Vec<u8>) {
        if batch.is_empty() {
            return;
        }
        let body = request(batch);
        if body.len() <= FRAME || batch.len() == 1 {
            return self.frames.push(prefix, &body);
        }
        let (first, second) = batch.split_at(batch.len() / 2);
        self.write(prefix, first, request);
        self.write(prefix, second, request);
    }
}

/// A request as JSON. It is made of texts and numbers, which cannot fail to be written.
fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).unwrap_or_default()
}

impl SpanExporter for Exporter {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.write("OTLP", &batch, &|spans| {
            let resource_spans = group_spans_by_resource_and_scope(spans.to_vec(), &self.resource);
            json(&ExportTraceServiceRequest { resource_spans })
        });
        ready(Ok(()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl LogExporter for Exporter {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let records: Vec<_> = batch.iter().collect();
        self.write("LOGS", &records, &|records| {
            let batch = LogBatch::new(records);
            let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
            json(&ExportLogsServiceRequest { resource_logs })
        });
        ready(Ok(()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for Exporter {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let request = ExportMetricsServiceRequest::from(metrics);
        self.write("MTRC", &[request], &|request| json(&request[0]));
        ready(Ok(()))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
