//! What attempts used that do not give the response of their call, or only its beginning: the client
//! pays for them, too.

use std::cell::LazyCell;

use canonical::{AttemptRecord, ErrorKind, MicroDollars, Outcome, Usage};
use telemetry::{UsageRecord, UsageSource};

use crate::{demand::input_tokens, running_call::RunningCall};

impl RunningCall {
    /// Notes what an attempt used that does not give the response, or only its beginning.
    pub(crate) fn carry(&mut self, target: (String, String), usage: Usage) {
        self.carried.push((target, usage));
    }

    /// What such attempts used together.
    pub(crate) fn carried_usage(&self) -> Usage {
        let usages = self.carried.iter().map(|(_, usage)| usage);
        usages.fold(Usage::default(), |sum, usage| sum.plus(usage))
    }

    /// Notes what an attempt may have used that was to go on with a broken response, of which nothing
    /// has come: its provider may have read the input.
    pub(crate) fn carry_attempts_under_way(&mut self) {
        let Some(failover) = self.failover.as_ref().filter(|_| !self.carried.is_empty()) else {
            return;
        };
        let silent = failover.running().filter(|id| Some(*id) != self.attempt);
        let silent: Vec<_> = silent.map(|id| failover.attempt(id).clone()).collect();
        // What was written so far is a part of their prompts.
        let written = self.carried_usage().all_output();
        silent.iter().for_each(|attempt| self.carry_silent(attempt, written));
    }

    /// Notes what an attempt may have used of which nothing has come: its provider may have read the
    /// input, to which so many tokens were added, and reasoned about it.
    pub(crate) fn carry_silent(&mut self, attempt: &AttemptRecord, added: u64) {
        let input = input_tokens(&self.call.request).saturating_add(added);
        let output = self.unseen_reasoning(attempt, attempt.duration_ms);
        let target = (attempt.provider.clone(), attempt.model.clone());
        self.carry(target, Usage { input, output, ..Usage::default() });
    }

    /// Usage and cost together with those of attempts that did not give the response.
    pub(crate) fn with_carried(
        &self,
        usage: Option<UsageRecord>,
        cost: Option<MicroDollars>,
    ) -> (Option<UsageRecord>, Option<MicroDollars>) {
        if self.carried.is_empty() {
            return (usage, cost);
        }
        let carried = self.carried_usage();
        let tokens = usage.map_or(carried, |usage| usage.tokens.plus(&carried));
        let sum = UsageRecord { tokens, source: UsageSource::Estimated };
        let costs = self.carried.iter().map(|((provider, model), usage)| {
            self.call.snapshot.cost(provider, model, usage).map(|cost| cost.0)
        });
        let own = match usage {
            Some(_) => cost.map(|cost| cost.0),
            None => Some(0),
        };
        let cost = costs.chain([own]).sum::<Option<u64>>().map(MicroDollars);
        (Some(sum), cost)
    }

    /// What attempts may cost that got no response in time: their providers may have read the input, and
    /// written until then.
    pub(crate) fn cost_of_timeouts(&self) -> MicroDollars {
        let timeout = Outcome::Failed(ErrorKind::Timeout.code());
        let attempts = self.call.record.attempts.iter();
        // Who could not even be reached has read nothing.
        let attempts = attempts.filter(|it| it.outcome == timeout && !it.is_unsent);
        let input = LazyCell::new(|| input_tokens(&self.call.request));
        let costs = attempts.filter_map(|it| {
            // A provider that says itself that it took too long bills nothing.
            let output = if it.status.is_none() { self.unseen_output(it) } else { 0 };
            let usage = Usage { input: *input, output, ..Usage::default() };
            self.call.snapshot.cost(&it.provider, &it.model, &usage)
        });
        MicroDollars(costs.map(|cost| cost.0).fold(0, u64::saturating_add))
    }
}
