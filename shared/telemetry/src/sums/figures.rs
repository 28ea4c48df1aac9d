//! What pages draw of the calls of an hour or a day, in a row of its own beside the whole sums.
//!
//! The whole sums of an hour take kilobytes, since metrics need every kind of call. A page that reads
//! a month would pay for all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    histogram::Histogram,
    series::{CallSum, Sums, pairs},
};

/// What pages draw of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// How many calls.
    #[serde(rename = "n")]
    pub calls: u64,
    /// How many of the calls succeeded.
    #[serde(rename = "s")]
    pub answered: u64,
    /// How many of the calls failed although they were let in.
    #[serde(rename = "e")]
    pub failed: u64,
    /// How many attempts succeeded at another target after one failed.
    #[serde(rename = "r")]
    pub failed_over: u64,
    /// What the calls cost, in micro-dollars.
    #[serde(rename = "d")]
    pub cost: u64,
    /// From arrival to the first token, within [`super::FIRST_TOKEN_BOUNDS`].
    #[serde(rename = "tf")]
    pub first_token: Histogram,
    /// The gateway's own time, within [`super::OVERHEAD_BOUNDS`].
    #[serde(rename = "to")]
    pub overhead: Histogram,
    /// What each tenant's calls came to, by its id, of which those for models are counted; nothing in
    /// figures of an hour.
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, Amounts>,
    /// What the calls of each provider and its model came to, both empty where no attempt was made;
    /// nothing in figures of an hour.
    #[serde(rename = "m", with = "pairs", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<(String, String), Amounts>,
}

/// What some calls came to, as a line of a table has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// How many calls.
    #[serde(rename = "n")]
    pub calls: u64,
    /// Input tokens of the calls, of every class.
    #[serde(rename = "i")]
    pub input: u64,
    /// Output tokens of the calls, of every class.
    #[serde(rename = "o")]
    pub output: u64,
    /// The cost of the calls, in micro-dollars.
    #[serde(rename = "d")]
    pub cost: u64,
    /// How many calls had usage but no price.
    #[serde(rename = "np", default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
}

impl Amounts {
    fn of(sum: &CallSum) -> Self {
        let tokens = sum.tokens();
        Self {
            calls: sum.calls,
            input: tokens.all_input(),
            output: tokens.all_output(),
            cost: sum.cost,
            unpriced: sum.unpriced,
        }
    }

    /// Adds other calls.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced += other.unpriced;
    }
}

impl Figures {
    /// The figures of summed calls.
    pub fn of(sums: &Sums) -> Self {
        let total = sums.total();
        let outcomes = sums.grouped(|key| key.outcome.clone());
        let is_failure = |outcome: &str| outcome != "success" && outcome != "canceled";
        let failed = outcomes.iter().filter(|(outcome, _)| is_failure(outcome));
        let rescued = sums.fallbacks.iter().filter(|(key, _)| key.outcome == "success");
        Self {
            calls: total.calls,
            answered: outcomes.get("success").map_or(0, |sum| sum.calls),
            failed: failed.map(|(_, sum)| sum.calls.saturating_sub(sum.refused)).sum(),
            failed_over: rescued.map(|(_, count)| count).sum(),
            cost: total.cost,
            first_token: total.first_token,
            overhead: total.overhead,
            tenants: by_tenant(sums),
            models: amounts(sums.grouped(|key| (key.provider.clone(), key.model.clone()))),
        }
    }

    /// The figures without what each tenant and each model came to.
    pub(super) fn without_groups(self) -> Self {
        Self { tenants: BTreeMap::new(), models: BTreeMap::new(), ..self }
    }

    /// Adds other calls.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.failed += other.failed;
        self.failed_over += other.failed_over;
        self.cost = self.cost.saturating_add(other.cost);
        self.first_token.merge(&other.first_token);
        self.overhead.merge(&other.overhead);
        for (tenant, amounts) in &other.tenants {
            self.tenants.entry(tenant.clone()).or_default().merge(amounts);
        }
        for (model, amounts) in &other.models {
            self.models.entry(model.clone()).or_default().merge(amounts);
        }
    }

    /// What the calls to each provider cost, in micro-dollars.
    pub fn cost_by_provider(&self) -> BTreeMap<&str, u64> {
        let mut costs: BTreeMap<&str, u64> = BTreeMap::new();
        for ((provider, _), amounts) in &self.models {
            *costs.entry(provider).or_default() += amounts.cost;
        }
        costs
    }
}

/// What each tenant's calls came to. Only calls for models are counted.
fn by_tenant(sums: &Sums) -> BTreeMap<String, Amounts> {
    let mut tenants: BTreeMap<String, Amounts> = BTreeMap::new();
    for (key, sum) in &sums.calls {
        let calls = if key.is_of_model() { sum.calls } else { 0 };
        let amounts = Amounts { calls, ..Amounts::of(sum) };
        tenants.entry(key.tenant.clone()).or_default().merge(&amounts);
    }
    tenants
}

fn amounts<K: Ord>(groups: BTreeMap<K, CallSum>) -> BTreeMap<K, Amounts> {
    groups.into_iter().map(|(key, sum)| (key, Amounts::of(&sum))).collect()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_log::{AttemptRow, CallRow, UsageRow};

    fn row(outcome: &str, attempts: &[(&str, &str)]) -> CallRow {
        let attempt = |(provider, outcome): &(&str, &str)| AttemptRow {
            provider: (*provider).to_owned(),
            model: "m".to_owned(),
            outcome: (*outcome).to_owned(),
            ..AttemptRow::default()
        };
        CallRow {
            tenant: Some("a".to_owned()),
            format: "openai_chat".to_owned(),
            outcome: outcome.to_owned(),
            attempts: attempts.iter().map(attempt).collect(),
            usage: (outcome == "success").then_some(UsageRow([10, 1, 0, 0, 5, 2, 0])),
            cost: (outcome == "success").then_some(30),
            first_token_ms: (outcome == "success").then_some(400),
            ..CallRow::default()
        }
    }

    #[test]
    fn figures_say_what_became_of_calls() {
        let mut sums = Sums::default();
        sums.add(&row("success", &[("first", "timeout"), ("second", "success")]));
        sums.add(&row("timeout", &[("first", "timeout")]));
        sums.add(&row("rate_limit", &[]));
        sums.add(&row("canceled", &[("first", "canceled")]));
        for format in ["", "files"] {
            let format = format.to_owned();
            sums.add(&CallRow { format, cost: None, usage: None, ..row("unknown_model", &[]) });
        }
        let figures = Figures::of(&sums);

        // The third was refused before any attempt, and the last two were for no model.
        let Figures { calls, answered, failed, failed_over, cost, .. } = figures;
        assert_eq!((calls, answered, failed, failed_over, cost), (6, 1, 1, 1, 30));
        assert_eq!(figures.first_token.count(), 1);
        let amounts = Amounts { calls: 4, input: 11, output: 7, cost: 30, unpriced: 0 };
        assert_eq!(figures.tenants["a"], amounts);
        assert_eq!(figures.models[&("second".to_owned(), "m".to_owned())].cost, 30);
        assert_eq!(figures.models[&(String::new(), String::new())].calls, 3);
        assert_eq!(figures.cost_by_provider()["second"], 30);
    }

    #[test]
    fn figures_add_up_like_their_sums() {
        let (mut one, mut other) = (Sums::default(), Sums::default());
        one.add(&row("success", &[("first", "success")]));
        other.add(&row("success", &[("second", "success")]));
        other.add(&row("timeout", &[("first", "timeout")]));
        let mut added = Figures::of(&one);
        added.merge(&Figures::of(&other));
        one.merge(&other);
        assert_eq!(added, Figures::of(&one));
        let text = serde_json::to_string(&added).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), added);
    }
}
