//! Histograms that add up: counts between fixed bounds, and a sum, both whole numbers.

use serde::{Deserialize, Serialize};

/// The bounds of durations of calls and attempts, in microseconds: every bound that a metric of
/// any family has, so that each family's buckets are exact.
pub const DURATION_BOUNDS: &[u64] = &[
    5_000,
    10_000,
    20_000,
    25_000,
    40_000,
    50_000,
    80_000,
    100_000,
    160_000,
    250_000,
    320_000,
    500_000,
    640_000,
    1_000_000,
    1_280_000,
    2_500_000,
    2_560_000,
    5_000_000,
    5_120_000,
    10_000_000,
    10_240_000,
    20_480_000,
    30_000_000,
    40_960_000,
    60_000_000,
    81_920_000,
    120_000_000,
];
/// The bounds of times to the first token, in microseconds.
///
/// Source: `gen_ai.server.time_to_first_token` in the OpenTelemetry semantic conventions 1.41.
pub const FIRST_TOKEN_BOUNDS: &[u64] = &[
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
/// The bounds of times per output token, in microseconds.
///
/// Source: `gen_ai.server.time_per_output_token` in the OpenTelemetry semantic conventions 1.41.
pub const PER_TOKEN_BOUNDS: &[u64] = &[
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000,
    1_000_000, 2_500_000,
];
/// The bounds of the gateway's own time, in microseconds.
pub const OVERHEAD_BOUNDS: &[u64] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];
/// The bounds of tokens of one call.
///
/// Source: `gen_ai.client.token.usage` in the OpenTelemetry semantic conventions 1.41.
pub const TOKEN_BOUNDS: &[u64] = &[
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
    67_108_864,
];

/// Counts of values between bounds. The bounds are the caller's, and always the same for one
/// histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The count at or below each bound and above the one before; the last is above all. Counts of
    /// zero at the end are left out.
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<u64>,
    /// The sum of all values.
    #[serde(rename = "s", default)]
    pub sum: u64,
}

impl Histogram {
    /// Counts one value.
    pub fn add(&mut self, value: u64, bounds: &[u64]) {
        let place = bounds.partition_point(|bound| *bound < value);
        // Short calls fill only the first places, and zeros would make up most of a row.
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Adds another histogram with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }

        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many values were at most this bound, which must be one of `bounds`.
    pub fn at_most(&self, bound: u64, bounds: &[u64]) -> u64 {
        let places = bounds.partition_point(|it| *it <= bound);
        self.counts.iter().take(places).sum()
    }

    /// The smallest bound that at least this share of the values does not pass; none without values.
    /// What is above every bound counts as the last one.
    pub fn quantile(&self, share: f64, bounds: &[u64]) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a quantile is an estimate"
        )]
        let wanted = ((count as f64 * share).ceil() as u64).max(1);

        let mut seen = 0;
        for (place, counted) in self.counts.iter().enumerate() {
            seen += counted;
            if wanted <= seen {
                return bounds.get(place).or(bounds.last()).copied();
            }
        }
        bounds.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_at_or_below_their_bound() {
        let mut histogram = Histogram::default();
        for value in [1, 10, 11, 5_000] {
            histogram.add(value, &[10, 100]);
        }
        assert_eq!((histogram.count(), histogram.sum), (4, 5_022));
        assert_eq!(histogram.at_most(10, &[10, 100]), 2);
        assert_eq!(histogram.at_most(100, &[10, 100]), 3);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.at_most(10, &[10, 100])), (8, 4));
        assert_eq!(histogram.quantile(0.5, &[10, 100]), Some(10));
        assert_eq!(histogram.quantile(0.75, &[10, 100]), Some(100));
        assert_eq!(histogram.quantile(1.0, &[10, 100]), Some(100));
        assert_eq!(Histogram::default().quantile(0.5, &[10]), None);
    }

    #[test]
    fn bounds_rise() {
        let all =
            [DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, PER_TOKEN_BOUNDS, OVERHEAD_BOUNDS, TOKEN_BOUNDS];
        assert!(all.iter().all(|bounds| bounds.is_sorted()));
    }
}
