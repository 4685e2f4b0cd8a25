//! Points of an `ExportMetricsServiceRequest`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Origin;
use super::json::{First, Text, each};
use super::value::{Attributes, Real, Unsigned, Whole, cut_name, object};
use crate::observability::metrics::{Histogram, Kind, Point, Value};

/// Buckets of one histogram.
const BUCKETS: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Otlp<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    unit: Option<Text<'a>>,
    #[serde(borrow)]
    gauge: Option<Points<'a>>,
    #[serde(borrow)]
    sum: Option<Points<'a>>,
    #[serde(borrow)]
    histogram: Option<Points<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Points<'a>>,
    #[serde(borrow)]
    summary: Option<Points<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points<'a> {
    #[serde(borrow)]
    data_points: Option<&'a RawValue>,
    #[serde(borrow)]
    aggregation_temporality: Option<&'a RawValue>,
    #[serde(default)]
    is_monotonic: bool,
}

/// A point of any kind: each has some of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpPoint<'a> {
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default)]
    time_unix_nano: Unsigned,
    as_double: Option<Real>,
    as_int: Option<Whole>,
    count: Option<Unsigned>,
    sum: Option<Real>,
    min: Option<Real>,
    max: Option<Real>,
    #[serde(default)]
    bucket_counts: First<Unsigned, BUCKETS>,
    #[serde(default)]
    explicit_bounds: First<Real, BUCKETS>,
}

/// Reads one metric: a point for each of its data points.
pub(super) fn read(
    json: &RawValue,
    origin: &Origin,
    emit: &mut dyn FnMut(Point),
) -> Result<(), serde_json::Error> {
    let otlp: Otlp<'_> = serde_json::from_str(json.get())?;
    let kinds = [
        (Kind::Gauge, otlp.gauge),
        (Kind::Sum, otlp.sum),
        (Kind::Histogram, otlp.histogram),
        (Kind::ExponentialHistogram, otlp.exponential_histogram),
        (Kind::Summary, otlp.summary),
    ];
    let text = |text: Text<'_>| Arc::<str>::from(cut_name(&text.0));
    let (name, description, unit) =
        (text(otlp.name), otlp.description.map(text), otlp.unit.map(text));
    for (kind, points) in kinds {
        let Some(Points { data_points: Some(list), aggregation_temporality, is_monotonic }) =
            points
        else {
            continue;
        };
        let temporality = aggregation_temporality.map(|raw| raw.get().trim_matches('"'));
        let is_delta = matches!(temporality, Some("1" | "AGGREGATION_TEMPORALITY_DELTA"));
        each(list, std::marker::PhantomData::<OtlpPoint<'_>>, |point| {
            if let Some(value) = value_of(kind, &point) {
                emit(Point {
                    name: name.clone(),
                    description: description.clone(),
                    unit: unit.clone(),
                    kind,
                    is_delta,
                    is_monotonic,
                    value,
                    attributes: object(&point.attributes),
                    timestamp_unix_nano: point.time_unix_nano.0,
                    service_name: origin.service_name.clone(),
                    scope_name: origin.scope_name.clone(),
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What was measured; `None`: nothing.
fn value_of(kind: Kind, point: &OtlpPoint<'_>) -> Option<Value> {
    if matches!(kind, Kind::Gauge | Kind::Sum) {
        // What the official SDKs count fits into a double without loss.
        #[allow(clippy::cast_precision_loss)]
        let whole = point.as_int.map(|Whole(whole)| whole as f64);
        let number = point.as_double.map(|Real(real)| real).or(whole);
        return number.filter(|number| number.is_finite()).map(Value::Number);
    }
    let real = |real: Option<Real>| real.map(|Real(real)| real).filter(|real| real.is_finite());
    Some(Value::Histogram(Histogram {
        count: point.count.unwrap_or_default().0,
        sum: real(point.sum).unwrap_or_default(),
        min: real(point.min),
        max: real(point.max),
        bounds: point.explicit_bounds.0.iter().map(|Real(bound)| *bound).collect(),
        counts: point.bucket_counts.0.iter().map(|Unsigned(count)| *count).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn points_of_all_kinds_are_read() {
        let origin = super::super::Resource::read(None).unwrap();
        let mut points = Vec::new();
        for metric in [
            json!({"name": "g", "unit": "By", "gauge": {"dataPoints": [
                {"timeUnixNano": "7", "asInt": "5", "attributes": [{"key": "a", "value": {"boolValue": true}}]},
                {"asDouble": 1.5}, {"asDouble": "NaN"}, {}]}}),
            json!({"name": "s", "sum": {"dataPoints": [{"asInt": 3}], "aggregationTemporality": 1, "isMonotonic": true}}),
            json!({"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"count": "3", "sum": 6.0, "min": 1, "max": 3, "bucketCounts": ["1", "2"], "explicitBounds": [2]}]}}),
            json!({"name": "none"}),
        ] {
            let raw = serde_json::value::to_raw_value(&metric).unwrap();
            read(&raw, &origin, &mut |point| points.push(point)).unwrap();
        }
        let names: Vec<_> = points.iter().map(|point| &*point.name).collect();
        assert_eq!(names, ["g", "g", "s", "h"]);
        assert!(matches!(points[0].value, Value::Number(5.0)));
        assert_eq!((points[0].timestamp_unix_nano, points[0].unit.as_deref()), (7, Some("By")));
        assert!(points[2].is_delta && points[2].is_monotonic && !points[3].is_delta);
        let Value::Histogram(histogram) = &points[3].value else { panic!() };
        assert_eq!(
            (histogram.count, histogram.max, &histogram.counts[..]),
            (3, Some(3.0), &[1, 2][..])
        );
    }
}
