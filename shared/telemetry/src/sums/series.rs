//! Sums of calls by what they have in common: the values behind charts, usage and metrics.

use std::collections::BTreeMap;

use canonical::Usage;
use serde::{Deserialize, Serialize};

use super::histogram::{
    DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, Histogram, OVERHEAD_BOUNDS, PER_TOKEN_BOUNDS, TOKEN_BOUNDS,
};
use crate::request_log::{CallRow, UsageRow};

/// How many kinds of calls are told apart in sums that one row keeps. A row of DynamoDB has 400 KB
/// at most, and a kind takes about 400 bytes.
pub(super) const MAX_SERIES: usize = 300;
/// What stands for names on top of what one row keeps.
pub const OTHER: &str = "other";

/// What the calls of one sum have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SumKey {
    /// The tenant's id; empty for calls that were not authenticated.
    #[serde(rename = "t")]
    pub tenant: String,
    /// The provider that responded, or was attempted last; empty where none was.
    #[serde(rename = "v")]
    pub provider: String,
    /// The provider's name for the model; empty where none was attempted.
    #[serde(rename = "m")]
    pub model: String,
    /// Whether the configuration names the target. Others are no labels of metrics.
    #[serde(rename = "c")]
    pub is_configured: bool,
    /// The format of the requests; empty where it was not found out.
    #[serde(rename = "f")]
    pub format: String,
    /// How the calls ended: `success`, `canceled` or the code of the failure.
    #[serde(rename = "o")]
    pub outcome: String,
    /// The HTTP status; 0 for clients that left.
    #[serde(rename = "h")]
    pub status: u16,
}

/// What the calls of one kind came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSum {
    /// How many calls.
    #[serde(rename = "n")]
    pub calls: u64,
    /// The tokens of the calls, by class.
    #[serde(rename = "u")]
    tokens: UsageRow,
    /// The cost of the calls, in micro-dollars.
    #[serde(rename = "d")]
    pub cost: u64,
    /// How many calls had usage but no price.
    #[serde(rename = "np", default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
    /// How many calls had estimated usage.
    #[serde(rename = "z", default, skip_serializing_if = "is_zero")]
    pub estimated: u64,
    /// How many calls got a response from the cache.
    #[serde(rename = "yh", default, skip_serializing_if = "is_zero")]
    pub cache_hits: u64,
    /// How many calls asked the cache in vain.
    #[serde(rename = "ym", default, skip_serializing_if = "is_zero")]
    pub cache_misses: u64,
    /// How many fields providers were not sent.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// How many calls made no attempt: refused by the gateway itself.
    #[serde(rename = "rf", default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// From arrival to end, within [`DURATION_BOUNDS`].
    #[serde(rename = "t")]
    pub duration: Histogram,
    /// From arrival to the first token, within [`FIRST_TOKEN_BOUNDS`].
    #[serde(rename = "tf")]
    pub first_token: Histogram,
    /// Each output token after the first, within [`PER_TOKEN_BOUNDS`].
    #[serde(rename = "tt")]
    pub per_token: Histogram,
    /// The gateway's own time, within [`OVERHEAD_BOUNDS`].
    #[serde(rename = "to")]
    pub overhead: Histogram,
    /// Input tokens of each call, within [`TOKEN_BOUNDS`].
    #[serde(rename = "hi")]
    pub input_tokens: Histogram,
    /// Output tokens of each call, within [`TOKEN_BOUNDS`].
    #[serde(rename = "ho")]
    pub output_tokens: Histogram,
}

/// What attempts have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Whether the configuration names the target.
    pub is_configured: bool,
    /// How the attempts ended.
    pub outcome: String,
    /// The tenant's id.
    pub tenant: String,
}

/// A step from one provider to another within a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FallbackKey {
    /// The route.
    pub route: String,
    /// The provider that failed.
    pub from: String,
    /// The provider that was attempted next.
    pub to: String,
    /// How that attempt ended.
    pub outcome: String,
}

/// What cooldowns have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CooldownKey {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Whether the configuration names the target.
    pub is_configured: bool,
}

/// Sums of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Sums of calls.
    #[serde(rename = "c", with = "pairs", default)]
    pub calls: BTreeMap<SumKey, CallSum>,
    /// Counts of attempts.
    #[serde(rename = "a", with = "pairs", default)]
    pub attempts: BTreeMap<AttemptKey, u64>,
    /// Counts of fallbacks.
    #[serde(rename = "f", with = "pairs", default)]
    pub fallbacks: BTreeMap<FallbackKey, u64>,
    /// For how long attempts made their targets cool down, in milliseconds.
    #[serde(rename = "k", with = "pairs", default)]
    pub cooldowns: BTreeMap<CooldownKey, u64>,
}

impl CallSum {
    /// The tokens of the calls, by class.
    pub fn tokens(&self) -> Usage {
        self.tokens.into()
    }

    /// Adds the calls of another sum.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        for (count, more) in self.tokens.0.iter_mut().zip(other.tokens.0) {
            *count = count.saturating_add(more);
        }
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced += other.unpriced;
        self.estimated += other.estimated;
        self.cache_hits += other.cache_hits;
        self.cache_misses += other.cache_misses;
        self.dropped += other.dropped;
        self.refused += other.refused;
        self.duration.merge(&other.duration);
        self.first_token.merge(&other.first_token);
        self.per_token.merge(&other.per_token);
        self.overhead.merge(&other.overhead);
        self.input_tokens.merge(&other.input_tokens);
        self.output_tokens.merge(&other.output_tokens);
    }

    fn add(&mut self, row: &CallRow) {
        let tokens = row.tokens();
        self.merge(&Self {
            calls: 1,
            tokens: tokens.into(),
            cost: row.cost.unwrap_or_default(),
            unpriced: u64::from(row.usage.is_some() && row.cost.is_none()),
            estimated: u64::from(row.is_estimated),
            cache_hits: u64::from(row.cache.as_deref() == Some("hit")),
            cache_misses: u64::from(row.cache.as_deref() == Some("miss")),
            dropped: u64::try_from(row.dropped_count).unwrap_or_default(),
            refused: u64::from(row.has_failed() && row.attempts.is_empty()),
            ..Self::default()
        });
        self.duration.add(row.total_ms.saturating_mul(1_000), DURATION_BOUNDS);
        if let Some(first) = row.first_token_ms {
            self.first_token.add(first.saturating_mul(1_000), FIRST_TOKEN_BOUNDS);
            // The first token has its own histogram. What is between it and the end made the
            // others.
            let after_first = tokens.all_output().saturating_sub(1);
            let time = row.total_ms.saturating_sub(first).saturating_mul(1_000);
            // Without a stream the first token arrives with the last.
            if row.stream
                && let Some(each) = time.checked_div(after_first)
            {
                self.per_token.add(each, PER_TOKEN_BOUNDS);
            }
        }
        if let Some(overhead) = row.overhead_us {
            self.overhead.add(overhead, OVERHEAD_BOUNDS);
        }
        if row.usage.is_some() {
            self.input_tokens.add(tokens.all_input(), TOKEN_BOUNDS);
            self.output_tokens.add(tokens.all_output(), TOKEN_BOUNDS);
        }
    }
}

impl SumKey {
    fn of(row: &CallRow) -> Self {
        let last = row.attempts.last();
        // A call that failed at every provider counts for the last one, whose failure the client
        // got.
        let provider = row.provider.as_ref().or(last.map(|it| &it.provider));
        let model = row.sent_model.as_ref().or(last.map(|it| &it.model));
        Self {
            tenant: row.tenant.clone().unwrap_or_default(),
            provider: provider.cloned().unwrap_or_default(),
            model: model.cloned().unwrap_or_default(),
            is_configured: row.is_configured,
            format: row.format.clone(),
            outcome: row.outcome.clone(),
            status: row.status.unwrap_or_default(),
        }
    }

    /// Whether the calls are for a model: lists of models and usage have no format, and files and
    /// batches are for no model.
    pub fn is_of_model(&self) -> bool {
        !matches!(self.format.as_str(), "" | "files" | "batches")
    }

    /// The kinds that a call counts under once there are too many: without its model, and once there
    /// are far too many, without its tenant.
    fn folded(&self) -> [Self; 2] {
        // Model names that clients make up are what fills the sums.
        let model = Self { model: OTHER.to_owned(), is_configured: false, ..self.clone() };
        [model.clone(), Self { tenant: OTHER.to_owned(), ..model }]
    }
}

impl Sums {
    /// Adds one call.
    pub fn add(&mut self, row: &CallRow) {
        self.calls.entry(SumKey::of(row)).or_default().add(row);

        let mut before: Option<(&str, &str)> = None;
        for attempt in &row.attempts {
            let key = AttemptKey {
                provider: attempt.provider.clone(),
                model: attempt.model.clone(),
                is_configured: row.is_configured,
                outcome: attempt.outcome.clone(),
                tenant: row.tenant.clone().unwrap_or_default(),
            };
            *self.attempts.entry(key).or_default() += 1;
            if attempt.cooldown_ms != 0 {
                let key = CooldownKey {
                    provider: attempt.provider.clone(),
                    model: attempt.model.clone(),
                    is_configured: row.is_configured,
                };
                *self.cooldowns.entry(key).or_default() += attempt.cooldown_ms;
            }

            // A step to another key of the same target is no fallback.
            let target = (attempt.provider.as_str(), attempt.model.as_str());
            if let Some((from, _)) = before.filter(|from| *from != target) {
                let key = FallbackKey {
                    route: row.route.clone().unwrap_or_default(),
                    from: from.to_owned(),
                    to: attempt.provider.clone(),
                    outcome: attempt.outcome.clone(),
                };
                *self.fallbacks.entry(key).or_default() += 1;
            }
            before = Some(target);
        }
    }

    /// How many calls for models there are.
    pub fn model_calls(&self) -> u64 {
        self.calls.iter().filter(|(key, _)| key.is_of_model()).map(|(_, sum)| sum.calls).sum()
    }

    /// Adds the calls of other sums.
    pub fn merge(&mut self, other: &Self) {
        self.merge_within(other, usize::MAX);
    }

    /// Adds the calls of other sums. New kinds of calls on top of `max` count as `other`.
    pub(super) fn merge_within(&mut self, other: &Self, max: usize) {
        for (key, sum) in &other.calls {
            let key = self.place_within(key, max);
            self.calls.entry(key).or_default().merge(sum);
        }
        for (key, count) in &other.attempts {
            // Kinds that are known go on to be told apart, so that no counter stops or falls.
            let has_room = self.attempts.contains_key(key) || self.attempts.len() < max;
            let (model, tenant) = (OTHER.to_owned(), OTHER.to_owned());
            let folded = || AttemptKey { model, tenant, is_configured: false, ..key.clone() };
            let key = if has_room { key.clone() } else { folded() };
            *self.attempts.entry(key).or_default() += count;
        }
        for (key, millis) in &other.cooldowns {
            let has_room = self.cooldowns.contains_key(key) || self.cooldowns.len() < max;
            let folded =
                || CooldownKey { model: OTHER.to_owned(), is_configured: false, ..key.clone() };
            let key = if has_room { key.clone() } else { folded() };
            *self.cooldowns.entry(key).or_default() += millis;
        }
        for (key, count) in &other.fallbacks {
            // Not bounded: routes and providers are only those of the configuration.
            *self.fallbacks.entry(key.clone()).or_default() += count;
        }
    }

    /// The same sums in the size that one row holds.
    pub(super) fn bounded(&self) -> Self {
        self.within(MAX_SERIES)
    }

    /// The same sums with `max` kinds told apart.
    pub(super) fn within(&self, max: usize) -> Self {
        let mut bounded = Self::default();
        bounded.merge_within(self, max);
        bounded
    }

    /// The sums of one tenant's calls.
    pub fn of_tenant(&self, tenant: &str) -> Self {
        let calls = self.calls.iter().filter(|(key, _)| key.tenant == tenant);
        let attempts = self.attempts.iter().filter(|(key, _)| key.tenant == tenant);
        Self {
            calls: calls.map(|(key, sum)| (key.clone(), sum.clone())).collect(),
            attempts: attempts.map(|(key, count)| (key.clone(), *count)).collect(),
            // Fallbacks are of routes, and have no tenant.
            fallbacks: BTreeMap::new(),
            cooldowns: BTreeMap::new(),
        }
    }

    /// How many calls there are.
    pub fn count(&self) -> u64 {
        self.calls.values().map(|sum| sum.calls).sum()
    }

    /// The sum of all calls.
    pub fn total(&self) -> CallSum {
        self.grouped(|_| ()).remove(&()).unwrap_or_default()
    }

    /// The sums by what a function takes of their keys: by model, by tenant, by outcome.
    pub fn grouped<K: Ord>(&self, group: impl Fn(&SumKey) -> K) -> BTreeMap<K, CallSum> {
        let mut groups: BTreeMap<K, CallSum> = BTreeMap::new();
        for (key, sum) in &self.calls {
            groups.entry(group(key)).or_default().merge(sum);
        }
        groups
    }

    /// The kind under which sums of at most `max` kinds count calls of this kind.
    fn place_within(&self, key: &SumKey, max: usize) -> SumKey {
        if self.calls.len() < max || self.calls.contains_key(key) {
            return key.clone();
        }
        let [without_model, without_tenant] = key.folded();
        // Tenants are fewer than models, and their usage is what people look at: they keep the same
        // room once more.
        let has_room = self.calls.len() < max.saturating_mul(2);
        let fits = has_room || self.calls.contains_key(&without_model);
        if fits { without_model } else { without_tenant }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Maps as lists of pairs: JSON has no keys but texts.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(in super::super) fn deserialize<'de, K, V, D>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_log::AttemptRow;

    fn attempt(provider: &str, outcome: &str) -> AttemptRow {
        AttemptRow {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            outcome: outcome.to_owned(),
            ..AttemptRow::default()
        }
    }

    fn row(tenant: &str, outcome: &str) -> CallRow {
        CallRow {
            tenant: Some(tenant.to_owned()),
            outcome: outcome.to_owned(),
            route: Some("both".to_owned()),
            provider: (outcome == "success").then(|| "second".to_owned()),
            attempts: vec![attempt("first", "timeout"), attempt("second", outcome)],
            usage: Some(UsageRow([10, 0, 0, 0, 5, 0, 0])),
            total_ms: 1_200,
            first_token_ms: Some(400),
            stream: true,
            ..CallRow::default()
        }
    }

    #[test]
    fn calls_are_summed_by_what_they_have_in_common() {
        let mut sums = Sums::default();
        for (tenant, outcome) in [("a", "success"), ("a", "success"), ("b", "timeout")] {
            sums.add(&row(tenant, outcome));
        }
        assert_eq!((sums.calls.len(), sums.count()), (2, 3));
        let total = sums.total();
        assert_eq!((total.tokens().input, total.tokens().output, total.unpriced), (30, 15, 3));
        assert_eq!(total.per_token.sum, 3 * 200_000);
        let attempts: u64 = sums.attempts.values().sum();
        assert_eq!(attempts, 6);
        let fallback = |outcome: &str| FallbackKey {
            route: "both".to_owned(),
            from: "first".to_owned(),
            to: "second".to_owned(),
            outcome: outcome.to_owned(),
        };
        assert_eq!(sums.fallbacks[&fallback("success")], 2);
        assert_eq!(sums.fallbacks[&fallback("timeout")], 1);
        assert_eq!(sums.of_tenant("b").count(), 1);
    }

    #[test]
    fn another_model_of_a_provider_is_a_fallback_and_another_key_is_none() {
        let of_model = |model: &str, outcome: &str| AttemptRow {
            model: model.to_owned(),
            ..attempt("first", outcome)
        };
        let attempts = [("small", "timeout"), ("small", "timeout"), ("large", "success")];
        let attempts = attempts.map(|(model, outcome)| of_model(model, outcome)).to_vec();
        let mut sums = Sums::default();
        sums.add(&CallRow { attempts, ..row("a", "success") });
        let fallbacks: Vec<_> = sums.fallbacks.iter().collect();
        let [(key, 1)] = fallbacks[..] else { panic!("{fallbacks:?}") };
        assert_eq!((key.from.as_str(), key.to.as_str()), ("first", "first"));
        assert_eq!(key.outcome, "success");
    }

    #[test]
    fn sums_are_read_as_they_were_written() {
        let mut sums = Sums::default();
        sums.add(&row("a", "success"));
        let text = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&text).unwrap(), sums);
        assert!(text.len() < 1_000, "{text}");
    }

    #[test]
    fn names_on_top_count_as_other() {
        let mut sums = Sums::default();
        for nth in 0..MAX_SERIES * 2 {
            let model = Some(format!("model-{nth}"));
            sums.add(&CallRow { sent_model: model, ..row("a", "success") });
        }
        let bounded = sums.bounded();
        assert_eq!(bounded.calls.len(), MAX_SERIES + 1);
        let by_model = bounded.grouped(|key| key.model.clone());
        assert_eq!(by_model[OTHER].calls, MAX_SERIES as u64);
        assert_eq!(bounded.count(), sums.count());
    }

    #[test]
    fn sums_of_many_tenants_fit_one_row() {
        let mut sums = Sums::default();
        for nth in 0..MAX_SERIES * 10 {
            sums.add(&row(&format!("tenant-{nth}"), "success"));
        }
        let bounded = sums.bounded();
        assert_eq!(bounded.count(), sums.count());
        assert_eq!(bounded.calls.len(), 2 * MAX_SERIES + 1);
        let size = serde_json::to_string(&bounded).unwrap().len();
        assert!(size < 350_000, "{size}");
    }
}
