//! A family of metrics: one name, and a value for each set of labels.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use telemetry::sums::Histogram;

/// The buckets of the second seed's durations, in microseconds.
pub(super) const SEED_B_BOUNDS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];
/// Prometheus' own default buckets, which the third and fourth seeds have, in microseconds.
pub(super) const DEFAULT_BOUNDS: &[u64] = &[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// Names of labels and their values, in the order of their names in the family.
pub(super) type Labels = Vec<(&'static str, String)>;

/// One family.
#[derive(Debug)]
pub(super) struct Family {
    /// The name, without the `_total` of counters.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) series: Series,
}

/// The values of a family.
#[derive(Debug)]
pub(super) enum Series {
    Counter(BTreeMap<Labels, u64>),
    /// A counter of millionths, such as money.
    MicroCounter(BTreeMap<Labels, u64>),
    Gauge(BTreeMap<Labels, f64>),
    Histogram(HistogramScale, BTreeMap<Labels, Histogram>),
}

/// How a histogram's numbers are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistogramScale {
    /// The bounds within which values were counted.
    pub(super) counted: &'static [u64],
    /// The bounds to show, each of which is one of those.
    pub(super) shown: &'static [u64],
    /// How many of the counted units make one of the shown.
    pub(super) unit: f64,
}

/// Microseconds, shown as seconds.
pub(super) const SECONDS: f64 = 1e6;

impl HistogramScale {
    /// Shows every bound, in seconds.
    pub(super) fn seconds(bounds: &'static [u64]) -> Self {
        Self { counted: bounds, shown: bounds, unit: SECONDS }
    }

    /// The buckets of a histogram, each with the count above the bound before.
    fn buckets(self, histogram: &Histogram) -> Vec<(f64, u64)> {
        let mut before = 0;
        let mut buckets: Vec<(f64, u64)> = self
            .shown
            .iter()
            .map(|bound| {
                let at_most = histogram.at_most(*bound, self.counted);
                // Records count up to a bound, and the encoder adds the buckets up again by itself.
                let count = at_most - before;
                before = at_most;
                (float(*bound) / self.unit, count)
            })
            .collect();
        buckets.push((f64::INFINITY, histogram.count() - before));
        buckets
    }
}

impl Family {
    /// Writes the family. One without values is left out.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (kind, is_empty) = match &self.series {
            Series::Counter(series) | Series::MicroCounter(series) => {
                (MetricType::Counter, series.is_empty())
            }
            Series::Gauge(series) => (MetricType::Gauge, series.is_empty()),
            Series::Histogram(_, series) => (MetricType::Histogram, series.is_empty()),
        };
        if is_empty {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        match &self.series {
            Series::Counter(series) => series.iter().try_for_each(|(labels, value)| {
                of_series(&mut metric, labels, |it| {
                    it.encode_counter::<NoLabelSet, u64, f64>(value, None)
                })
            }),
            Series::MicroCounter(series) => series.iter().try_for_each(|(labels, value)| {
                let value = float(*value) / 1e6;
                of_series(&mut metric, labels, |it| {
                    it.encode_counter::<NoLabelSet, f64, f64>(&value, None)
                })
            }),
            Series::Gauge(series) => series.iter().try_for_each(|(labels, value)| {
                of_series(&mut metric, labels, |it| it.encode_gauge(value))
            }),
            Series::Histogram(scale, series) => series.iter().try_for_each(|(labels, values)| {
                let (sum, buckets) = (float(values.sum) / scale.unit, scale.buckets(values));
                of_series(&mut metric, labels, |it| {
                    it.encode_histogram::<NoLabelSet>(sum, values.count(), &buckets, None)
                })
            }),
        }
    }
}

fn of_series(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { encode(metric) } else { encode(&mut metric.encode_family(labels)?) }
}

/// A count as Prometheus keeps it. Counts above 2^53 lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
