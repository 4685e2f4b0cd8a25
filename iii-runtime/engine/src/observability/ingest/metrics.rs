//! Parses the data points of an `ExportMetricsServiceRequest`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ItemContext;
use super::json::{FirstElements, JsonStr, for_each_element};
use super::value::{Double, Int64, KeyValues, UInt64, attribute_map, truncate_name};
use crate::observability::metrics::{DataPoint, DataPointValue, Histogram, MetricKind};

/// Maximum number of buckets of a histogram.
const MAX_BUCKETS: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpMetric<'a> {
    #[serde(borrow)]
    name: JsonStr<'a>,
    #[serde(borrow)]
    description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    unit: Option<JsonStr<'a>>,
    #[serde(borrow)]
    gauge: Option<OtlpDataPoints<'a>>,
    #[serde(borrow)]
    sum: Option<OtlpDataPoints<'a>>,
    #[serde(borrow)]
    histogram: Option<OtlpDataPoints<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<OtlpDataPoints<'a>>,
    #[serde(borrow)]
    summary: Option<OtlpDataPoints<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpDataPoints<'a> {
    #[serde(borrow)]
    data_points: Option<&'a RawValue>,
    #[serde(borrow)]
    aggregation_temporality: Option<&'a RawValue>,
    #[serde(default)]
    is_monotonic: bool,
}

/// A data point of any metric type. Each type has some of the fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpDataPoint<'a> {
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
    #[serde(default)]
    time_unix_nano: UInt64,
    as_double: Option<Double>,
    as_int: Option<Int64>,
    count: Option<UInt64>,
    sum: Option<Double>,
    min: Option<Double>,
    max: Option<Double>,
    #[serde(default)]
    bucket_counts: FirstElements<UInt64, MAX_BUCKETS>,
    #[serde(default)]
    explicit_bounds: FirstElements<Double, MAX_BUCKETS>,
}

/// Parses the data points of a metric.
pub(super) fn read(
    json: &RawValue,
    context: &ItemContext,
    emit: &mut dyn FnMut(DataPoint),
) -> Result<(), serde_json::Error> {
    let otlp: OtlpMetric<'_> = serde_json::from_str(json.get())?;
    let kinds = [
        (MetricKind::Gauge, otlp.gauge),
        (MetricKind::Sum, otlp.sum),
        (MetricKind::Histogram, otlp.histogram),
        (MetricKind::ExponentialHistogram, otlp.exponential_histogram),
        (MetricKind::Summary, otlp.summary),
    ];
    let text = |text: JsonStr<'_>| Arc::<str>::from(truncate_name(&text.0));
    let (name, description, unit) =
        (text(otlp.name), otlp.description.map(text), otlp.unit.map(text));
    for (kind, points) in kinds {
        let Some(OtlpDataPoints {
            data_points: Some(data_points),
            aggregation_temporality,
            is_monotonic,
        }) = points
        else {
            continue;
        };
        let temporality = aggregation_temporality.map(|raw| raw.get().trim_matches('"'));
        let is_delta = matches!(temporality, Some("1" | "AGGREGATION_TEMPORALITY_DELTA"));
        for_each_element(data_points, std::marker::PhantomData::<OtlpDataPoint<'_>>, |point| {
            if let Some(value) = value_of(kind, &point) {
                emit(DataPoint {
                    name: name.clone(),
                    description: description.clone(),
                    unit: unit.clone(),
                    kind,
                    is_delta,
                    is_monotonic,
                    value,
                    attributes: attribute_map(&point.attributes),
                    timestamp_unix_nano: point.time_unix_nano.0,
                    service_name: context.service_name.clone(),
                    scope_name: context.scope_name.clone(),
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Returns the value of a data point, or `None` if a gauge or a sum has no finite value.
fn value_of(kind: MetricKind, point: &OtlpDataPoint<'_>) -> Option<DataPointValue> {
    if matches!(kind, MetricKind::Gauge | MetricKind::Sum) {
        // The counters of the official SDKs are exact in a double.
        #[allow(clippy::cast_precision_loss)]
        let integer = point.as_int.map(|Int64(integer)| integer as f64);
        let number = point.as_double.map(|Double(double)| double).or(integer);
        return number.filter(|number| number.is_finite()).map(DataPointValue::Number);
    }
    let finite = |double: Option<Double>| {
        double.map(|Double(double)| double).filter(|double| double.is_finite())
    };
    Some(DataPointValue::Histogram(Histogram {
        count: point.count.unwrap_or_default().0,
        sum: finite(point.sum).unwrap_or_default(),
        min: finite(point.min),
        max: finite(point.max),
        bounds: point.explicit_bounds.0.iter().map(|Double(bound)| *bound).collect(),
        counts: point.bucket_counts.0.iter().map(|UInt64(count)| *count).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn data_points_of_all_metric_types_are_parsed() {
        let context = ItemContext::from_resource(None).unwrap();
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
            read(&raw, &context, &mut |point| points.push(point)).unwrap();
        }
        let names: Vec<_> = points.iter().map(|point| &*point.name).collect();
        assert_eq!(names, ["g", "g", "s", "h"]);
        assert!(matches!(points[0].value, DataPointValue::Number(5.0)));
        assert_eq!((points[0].timestamp_unix_nano, points[0].unit.as_deref()), (7, Some("By")));
        assert!(points[2].is_delta && points[2].is_monotonic && !points[3].is_delta);
        let DataPointValue::Histogram(histogram) = &points[3].value else { panic!() };
        assert_eq!(
            (histogram.count, histogram.max, &histogram.counts[..]),
            (3, Some(3.0), &[1, 2][..])
        );
    }
}
