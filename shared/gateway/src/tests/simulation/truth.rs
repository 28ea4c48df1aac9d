//! What really happened, and the invariants over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use canonical::{Content, Delta, ErrorKind, EventBody, GatewayResponse, ResponseBody, StreamEvent};
use serde_json::Value;
use telemetry::CallRecord;
use tenants::LedgerUsage;

use super::{
    providers::{Log, NAMES, Seen, TEXTS},
    world::{INSTANCES, LIMIT, Plan},
};

/// How a call ended, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a whole response; whether it was made for this call.
    Whole { text: String, is_made: bool },
    /// With an error.
    Failed(ErrorKind),
    /// The client left.
    Left,
    /// The client left before a whole response that is made all the same, since it was promised.
    Promised,
    /// Not at all.
    Never,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// How far the clocks were moved on, in seconds.
    pub(crate) seconds: u64,
    /// How many instances died.
    pub(crate) died: usize,
    /// The invariants that were broken, with the first case of each.
    pub(crate) violations: BTreeMap<u8, String>,
    records: Vec<Arc<CallRecord>>,
    /// How often the response to a request under each key was made.
    made: BTreeMap<u32, u32>,
    counted: u64,
}

impl Truth {
    /// Learns how a call ended.
    pub(crate) fn ended(&mut self, plan: &Plan, ended: Ended) {
        match ended {
            Ended::Whole { text, is_made } => {
                if text != TEXTS.concat() {
                    self.violate(10, format!("{plan:?} got {text:?}"));
                }
                if is_made {
                    self.made(plan);
                }
            }
            Ended::Promised => self.made(plan),
            Ended::Never => self.violate(13, format!("{plan:?} does not end")),
            Ended::Failed(_) | Ended::Left => {}
        }
    }

    /// Learns that the response to a request was made.
    fn made(&mut self, plan: &Plan) {
        let Some(key) = plan.key else { return };
        let made = self.made.entry(key).or_default();
        *made += 1;
        if 1 < *made && self.died == 0 {
            self.violate(11, format!("{plan:?} was made again"));
        }
    }

    /// Learns how many calls the sums have.
    pub(crate) fn counted(&mut self, counted: u64) {
        if counted < self.counted {
            self.violate(14, format!("the count fell from {} to {counted}", self.counted));
        }
        self.counted = counted;
    }

    /// Keeps what an instance recorded.
    pub(crate) fn keep_records(&mut self, records: Vec<Arc<CallRecord>>) {
        self.records.extend(records);
    }

    /// Once everything has ended: nothing is held, and what was charged is what the records say.
    pub(crate) fn check_money(&mut self, usage: &LedgerUsage, limit: u64, is_exact: bool) {
        let Some(budget) = usage.budget else { return };
        let charged: u64 =
            self.records.iter().filter_map(|it| it.settled).map(|settled| settled.0).sum();
        if limit < budget.used {
            self.violate(2, format!("{} of {limit} were spent", budget.used));
        }
        if !is_exact {
            return;
        }
        let held = (usage.in_flight, budget.held, budget.lost);
        if held != (0, 0, 0) || budget.remaining != limit - budget.used {
            self.violate(1, format!("something is held: {usage:?}"));
        }
        if budget.used != charged {
            self.violate(8, format!("{} were settled, the records say {charged}", budget.used));
        }
    }

    /// Each step is attempted once, and every call is counted once.
    pub(crate) fn check_records(&mut self, is_exact: bool) {
        let mut wrong = vec![];
        for record in &self.records {
            let mut providers = BTreeSet::new();
            if !record.attempts.iter().all(|it| providers.insert(&it.provider)) {
                wrong.push(format!("a step was attempted twice: {:?}", record.attempts));
            }
        }
        for message in wrong {
            self.violate(12, message);
        }
        let truth = u64::try_from(self.records.len()).unwrap();
        if is_exact && self.counted != truth {
            self.violate(14, format!("{} calls are counted, there were {truth}", self.counted));
        }
    }

    /// A target that cools down is left alone by whoever knows: one call of each instance learns it.
    pub(crate) fn check_cooldowns(&mut self) {
        let mut failures: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for record in &self.records {
            let failed = record.attempts.iter().filter(|it| matches!(it.status, Some(429 | 503)));
            for attempt in failed {
                *failures.entry((attempt.provider.clone(), record.arrived)).or_default() += 1;
            }
        }
        if let Some((target, times)) = failures.iter().find(|(_, times)| INSTANCES < **times) {
            let message = format!("{target:?} failed {times} times and was asked on");
            self.violate(12, message);
        }
    }

    /// The limit of a provider is kept by all instances together.
    pub(crate) fn check_limits(&mut self, log: &Log) {
        for epoch in 0..=log.epoch {
            let limited = |it: &&Seen| NAMES[it.provider] == "limited" && it.epoch == epoch;
            let count = log.seen.iter().filter(limited).count();
            if LIMIT < count {
                self.violate(3, format!("`limited` got {count} requests in a minute"));
            }
        }
    }

    fn violate(&mut self, invariant: u8, message: String) {
        self.violations.entry(invariant).or_insert(message);
    }
}

/// The text of a whole response.
pub(crate) fn text_of(response: &GatewayResponse) -> String {
    match &response.body {
        ResponseBody::Raw(bytes) => {
            let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
            body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        }
        ResponseBody::Chat(response) => {
            let parts = response.choices.iter().flat_map(|choice| &choice.parts);
            let text = |content: &Content| match content {
                Content::Text(text, _) => text.clone(),
                _ => String::new(),
            };
            parts.map(|part| text(&part.content)).collect()
        }
        ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => String::new(),
    }
}

/// What an event of a stream adds to the text.
pub(crate) fn text_in(event: &StreamEvent) -> String {
    match &event.body {
        EventBody::Frame(frame) => {
            let frame = String::from_utf8_lossy(frame);
            let data = frame.trim().strip_prefix("data: ").unwrap_or_default();
            let chunk: Value = serde_json::from_str(data).unwrap_or_default();
            chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
        }
        EventBody::Delta(_, delta) => match &**delta {
            Delta::Text(text) => text.to_string(),
            _ => String::new(),
        },
    }
}
