//! Probes: small calls in the background that find out whether a provider works, off by default.
//!
//! A probe goes the way of an attempt and counts for the health of its target: an outage that is over
//! is noticed before a client's call has to. What all probes of a day may cost is bounded.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use canonical::Usage;
use config::Probe;
use formats::{GatewayRequest, Inbound, openai::chat::OpenAiChat};
use providers::{UpstreamBody, UpstreamRequest};
use routing::{Failover, Limits, ModelQuery};
use tokio::task::JoinSet;

use crate::{Clock, Gateway, Snapshot};

/// How often it is looked whether a probe is due.
const TICK: Duration = Duration::from_secs(1);
/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// What is asked, for one token.
const PROBE_PROMPT: &str =
    r#"{"model":"","max_tokens":1,"messages":[{"role":"user","content":"ping"}]}"#;
/// How many tokens the question has, about.
const PROBE_TOKENS: u64 = 8;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What is known of each provider's probes.
#[derive(Debug, Default)]
struct Schedule {
    last: HashMap<String, Instant>,
    /// What probes of this day have cost, in micro-dollars.
    spent: HashMap<String, u64>,
    day: u64,
}

impl Schedule {
    /// Whether a probe is due and can be paid; the schedule takes it for made.
    fn take(&mut self, provider: &str, probe: &Probe, (now, day): (Instant, u64)) -> bool {
        if self.day != day {
            // Yesterday's spending frees today's probes; there is nothing else to remember of it.
            (self.day, self.spent) = (day, HashMap::new());
        }
        let is_due = self.last.get(provider).is_none_or(|last| *last + probe.every <= now);
        let is_paid = self.spent.get(provider).is_none_or(|spent| *spent < probe.max_cost);
        if is_due && is_paid {
            // Before the probe is made: one that hangs must not be due again meanwhile.
            self.last.insert(provider.to_owned(), now);
        }
        is_due && is_paid
    }

    fn spend(&mut self, provider: &str, cost: u64) {
        *self.spent.entry(provider.to_owned()).or_default() += cost;
    }
}

impl Gateway {
    /// Probes providers as the configuration says, for as long as the process lives. `now` reads the
    /// wall clock, in milliseconds since 1970.
    pub async fn probe_providers(self: Arc<Self>, now: fn() -> u64) {
        let mut schedule = Schedule::default();
        // Side by side, since one that hangs must not take the time of others.
        let mut probes: JoinSet<(String, u64)> = JoinSet::new();
        loop {
            tokio::time::sleep(TICK).await;
            while let Some(ended) = probes.try_join_next() {
                let Ok((provider, cost)) = ended else { continue };
                schedule.spend(&provider, cost);
            }
            let clock = Clock::starting(now());
            // Without a configuration there is nobody to probe; it may be there at the next tick.
            let Ok(snapshot) = self.configuration.current(clock).await else { continue };
            for provider in &snapshot.config.providers {
                let Some(probe) = &provider.probe else { continue };
                let moment = (clock.instant(), clock.now() / DAY_MS);
                if schedule.take(&provider.name, probe, moment) {
                    let (gateway, snapshot) = (self.clone(), snapshot.clone());
                    let (name, probe) = (provider.name.clone(), probe.clone());
                    probes.spawn(async move {
                        let cost = gateway.probe(&snapshot, &name, &probe, clock).await;
                        (name, cost)
                    });
                }
            }
        }
    }

    /// Makes one probe, and gives its cost in micro-dollars; nothing where no price is known.
    async fn probe(&self, snapshot: &Snapshot, provider: &str, probe: &Probe, clock: Clock) -> u64 {
        let model = probe.model.as_str();
        let Ok(request) = OpenAiChat.decode(Bytes::from_static(PROBE_PROMPT.as_bytes())) else {
            return 0;
        };
        let query = ModelQuery { model: Some(model), provider: Some(provider) };
        let Ok(plan) = snapshot.routes.resolve(query) else { return 0 };
        let arrived = clock.started;
        // Over before the next one is due, so that one provider has one probe at a time.
        let deadline = arrived + PROBE_TIMEOUT.min(probe.every);
        let limits = Limits { arrived, deadline, seed: clock.arrived };
        let mut failover = Failover::new(plan, self.configuration.health().clone(), limits);
        let Ok(attempt) = failover.next(clock.instant()) else { return 0 };

        let id = attempt.id;
        let outcome = send(snapshot, &attempt, &request, clock).await;
        // What is charged if the provider reports nothing, as for a failure.
        let mut usage = Usage { input: PROBE_TOKENS, output: 1, ..Usage::default() };
        match outcome {
            Ok(response) => {
                failover.succeeded(id, response.status, clock.instant());
                if let UpstreamBody::Whole(whole) = &response.body {
                    usage = whole.usage.unwrap_or(usage);
                }

                failover.ended(id, routing::AttemptEnd::Complete, clock.instant());
            }
            Err(error) => {
                tracing::info!(provider, model, %error, "a probe failed");
                drop(failover.failed(id, error, clock.instant()));
            }
        }
        // A probe that fails, or ends a cooldown, is news for every instance.
        self.configuration.publish_cooldowns(clock);
        snapshot.cost(provider, model, &usage).map_or(0, |cost| cost.0)
    }
}

async fn send(
    snapshot: &Snapshot,
    attempt: &routing::Attempt,
    request: &GatewayRequest,
    clock: Clock,
) -> canonical::Result<providers::UpstreamResponse> {
    let fetched = providers::FetchedMedia::default();
    let request = UpstreamRequest {
        request,
        strict: false,
        fetched: &fetched,
        traceparent: None,
        continued: None,
        decodes: false,
        keep: None,
    };
    snapshot.upstream.send(attempt, &request, clock.now()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_made_when_it_is_due_and_can_be_paid() {
        let probe = Probe { every: Duration::from_secs(60), model: "m".to_owned(), max_cost: 10 };
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert!(schedule.take("a", &probe, (now, 1)));
        assert!(!schedule.take("a", &probe, (now + Duration::from_secs(59), 1)));
        assert!(schedule.take("b", &probe, (now, 1)));
        schedule.spend("a", 10);
        let later = now + Duration::from_secs(60);
        assert!(!schedule.take("a", &probe, (later, 1)), "the day's money is spent");
        assert!(schedule.take("a", &probe, (later, 2)));
    }
}
