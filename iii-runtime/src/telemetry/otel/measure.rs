//! The metrics of a worker: how often its functions run, how long, and what the process costs ([protocol 10.5](crate::protocol#s10-5)).

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::SCOPE;
use super::frames::Frames;
use super::process::{Figure, Process};
use iii_wire::protocol::FunctionId;

const FUNCTION: &str = "iii.function.id";
const OUTCOME: &str = "iii.outcome";

/// The instruments for invocations.
pub(super) struct Measures {
    invocations: Counter<u64>,
    duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
}

impl Measures {
    pub(super) fn new(
        meters: &SdkMeterProvider,
        frames: Arc<Frames>,
        process: Arc<Process>,
    ) -> Self {
        let meter = meters.meter(SCOPE);
        for figure in Figure::ALL {
            gauge(&meter, figure, process.clone());
        }
        // It lives as long as the provider, which has it.
        let _ = meter
            .u64_observable_counter("iii.telemetry.dropped")
            .with_description("Frames of telemetry that were dropped, as the engine took none.")
            .with_callback(move |observer| observer.observe(frames.dropped(), &[]))
            .build();
        Self {
            invocations: meter
                .u64_counter("iii.invocations")
                .with_description("Invocations that have ended, by function and outcome.")
                .build(),
            duration: meter
                .f64_histogram("iii.invocation.duration")
                .with_description("How long handlers took.")
                .with_unit("s")
                .with_boundaries(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    30.0, 60.0,
                ])
                .build(),
            in_flight: meter
                .i64_up_down_counter("iii.invocations.in_flight")
                .with_description("Handlers that run.")
                .build(),
        }
    }

    /// A handler is about to run.
    pub(super) fn begin(&self, function: &FunctionId) {
        self.in_flight.add(1, &[KeyValue::new(FUNCTION, function.to_string())]);
    }

    /// It has ended.
    pub(super) fn end(&self, function: &FunctionId, outcome: &str, elapsed: Duration) {
        let function = KeyValue::new(FUNCTION, function.to_string());
        self.in_flight.add(-1, std::slice::from_ref(&function));
        let attributes = [function, KeyValue::new(OUTCOME, outcome.to_owned())];
        self.invocations.add(1, &attributes);
        self.duration.record(elapsed.as_secs_f64(), &attributes);
    }
}

/// Registers the gauge of one figure. It says nothing while the worker has no connection, or the figure is not known.
fn gauge(meter: &Meter, figure: Figure, process: Arc<Process>) {
    let _ = meter
        .f64_observable_gauge(figure.name())
        .with_unit(figure.unit())
        .with_callback(move |observer| {
            if let (Some(attributes), Some(value)) = (process.attributes(), process.read(figure)) {
                observer.observe(value, &attributes);
            }
        })
        .build();
}
