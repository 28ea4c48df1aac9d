//! Failover: which target to attempt next, and when to give up.
//!
//! Only decisions live here. Sockets and clocks belong to `providers` and `edge`, so that every rule
//! can be tested without them. Each attempt has an id, so that two may run side by side and what
//! happens after the first event of a stream still counts.

mod attempt;
mod cooldown_rules;
mod exhausted;
mod remedies;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use canonical::{AttemptRecord, Error, ErrorKind, KeyFingerprint, NextStep, Outcome, Result};
use config::FallbackOn;

use crate::{
    health::Health,
    resolve::{RoutePlan, Target},
    select,
};

pub use attempt::{Attempt, AttemptEnd, AttemptId, Limits};
pub use remedies::AppliedRemedies;

/// The longest first delay before a target is attempted again; doubled each time.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(500);
/// The longest delay that is worth waiting for: beyond it the next target is better.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The attempts of one call, past and running, and what is left to attempt.
#[derive(Debug)]
pub struct Failover {
    plan: Arc<RoutePlan>,
    health: Arc<Health>,
    limits: Limits,
    random: fastrand::Rng,
    /// Targets that this call may take, by their place in the plan.
    allowed: Vec<usize>,
    /// Allowed targets that were not attempted yet, in the order of attempts.
    untried: Vec<usize>,
    /// A target to attempt again before any other.
    retry: Option<Retry>,
    running: Vec<Running>,
    /// Whether a target was attempted although all cool down: that is done once.
    attempted_while_cooling: bool,
    /// Whether a stream has broken that another target goes on with.
    is_rescuing: bool,
    /// Every attempt so far; an id is the place in this list.
    attempts: Vec<AttemptRecord>,
    /// The target of each attempt, by its place in the plan.
    targets: Vec<usize>,
    /// The first error, which says most.
    first_error: Option<Error>,
    kinds: Vec<ErrorKind>,
}

/// A target that is attempted, and what was attempted there before.
#[derive(Clone, Debug)]
struct Course {
    target: usize,
    key: KeyFingerprint,
    keys_tried: Vec<KeyFingerprint>,
    retried: u32,
    remedies: AppliedRemedies,
}

#[derive(Debug)]
struct Retry {
    course: Course,
    delay: Duration,
}

#[derive(Debug)]
struct Running {
    id: AttemptId,
    course: Course,
    started: Instant,
}

impl Failover {
    /// Starts on a plan.
    pub fn new(plan: Arc<RoutePlan>, health: Arc<Health>, limits: Limits) -> Self {
        Self {
            allowed: (0..plan.targets.len()).collect(),
            untried: (0..plan.targets.len()).collect(),
            plan,
            health,
            limits,
            random: fastrand::Rng::with_seed(limits.seed),
            retry: None,
            running: vec![],
            attempted_while_cooling: false,
            is_rescuing: false,
            attempts: vec![],
            targets: vec![],
            first_error: None,
            kinds: vec![],
        }
    }

    /// The failover with only these targets of the plan, in this order.
    #[must_use]
    pub fn in_order(mut self, order: Vec<usize>) -> Self {
        self.allowed.clone_from(&order);
        self.untried = order;
        self
    }

    /// The plan that is followed.
    pub fn plan(&self) -> &Arc<RoutePlan> {
        &self.plan
    }

    /// Every attempt so far. One that has not ended counts as canceled.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.attempts
    }

    /// One attempt so far.
    pub fn attempt(&self, id: AttemptId) -> &AttemptRecord {
        &self.attempts[id.0]
    }

    /// The target of an attempt.
    pub fn target(&self, id: AttemptId) -> &Target {
        &self.plan.targets[self.targets[id.0]]
    }

    /// The next attempt, or the error that the client gets when nothing is left.
    pub fn next(&mut self, now: Instant) -> Result<Attempt> {
        let left = self.limits.deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Err(self.exhausted(now));
        }
        // The same target comes first: a remedy or another key costs less than another target.
        let retry = self.retry.take().or_else(|| self.next_target(now));
        match retry {
            Some(retry) => Ok(self.start(retry, left, now)),
            None => Err(self.exhausted(now)),
        }
    }

    /// An attempt beside one that is silent, if a target is left that does not cool down.
    pub fn next_hedge(&mut self, now: Instant) -> Option<Attempt> {
        let left = self.limits.deadline.saturating_duration_since(now);
        // A target that is about to be retried is not silent, and has the better claim.
        if left.is_zero() || self.retry.is_some() || !self.has_next(now) {
            return None;
        }
        let hedge = self.next_target(now)?;
        Some(self.start(hedge, left, now))
    }

    /// The attempts that run.
    pub fn running(&self) -> impl Iterator<Item = AttemptId> {
        self.running.iter().map(|running| running.id)
    }

    /// Whether an attempt runs.
    pub fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Notes that a stream has broken and another target goes on with it: whatever fails from now on,
    /// the next target is attempted, and none twice.
    pub fn begin_rescue(&mut self) {
        self.is_rescuing = true;
        // A retry would begin the response again, of which the client has a part already.
        self.retry = None;
    }

    fn start(&mut self, Retry { course, delay }: Retry, left: Duration, now: Instant) -> Attempt {
        let started = now + delay;
        let target = &self.plan.targets[course.target];
        let id = AttemptId(self.attempts.len());
        self.targets.push(course.target);
        // Recorded as it begins: a call that is dropped meanwhile shows it as canceled.
        self.attempts.push(AttemptRecord {
            provider: target.provider.clone(),
            model: target.model.clone(),
            key: course.key,
            start_ms: millis(started.saturating_duration_since(self.limits.arrived)),
            ..AttemptRecord::default()
        });
        self.health.targets.began(&target.provider, &target.model);
        let timeout = target.timeout.min(left.saturating_sub(delay));
        let probed_until = started + timeout;
        let cooldowns = &self.health.cooldowns;
        // Before the attempt is made, so that two calls at once do not both probe.
        cooldowns.claim_probe(&target.provider, &target.model, course.key, probed_until);
        let attempt = Attempt {
            id,
            delay,
            key: course.key,
            remedies: course.remedies.clone(),
            timeout,
            plan: self.plan.clone(),
            target: course.target,
        };
        self.running.push(Running { id, course, started });
        attempt
    }

    /// The next target that does not cool down; when all that this call may take do, the one available
    /// first.
    fn next_target(&mut self, now: Instant) -> Option<Retry> {
        let cooldowns = &self.health.cooldowns;
        let targets = &self.plan.targets;
        let is_available =
            |target: &usize| select::remaining(&targets[*target], cooldowns, now).is_zero();
        let mut place = self.untried.iter().position(is_available);
        // Cooldowns are often guesses, so that refusing the call would be worse. Once is enough: a
        // second target that was to be left alone is not called as well.
        if place.is_none()
            && !self.attempted_while_cooling
            && !self.allowed.iter().any(is_available)
        {
            self.attempted_while_cooling = true;
            place = (0..self.untried.len()).min_by_key(|place| {
                select::remaining(&targets[self.untried[*place]], cooldowns, now)
            });
        }

        let target = self.untried.remove(place?);
        let key = select::next_key(&targets[target], &[], cooldowns, now)?;
        let (keys_tried, remedies) = (vec![key], AppliedRemedies::default());
        let course = Course { target, key, keys_tried, retried: 0, remedies };
        Some(Retry { course, delay: Duration::ZERO })
    }

    /// Notes that an attempt has a response, or its first meaningful event. A cooldown that began
    /// before the attempt is over. The attempt runs on until [`Failover::ended`].
    pub fn succeeded(&mut self, id: AttemptId, status: u16, now: Instant) {
        // The attempt may be over already: its client left, or a hedge was faster.
        let Some(running) = self.running.iter().find(|it| it.id == id) else {
            return;
        };
        let latency = now.saturating_duration_since(running.started);
        let target = &self.plan.targets[running.course.target];
        let (provider, model) = (&target.provider, &target.model);
        // By when the request was sent: a slow success is older than a failure in between.
        self.health.cooldowns.end(provider, model, running.course.key, running.started);
        self.health.targets.succeeded(provider, model, latency);

        let record = &mut self.attempts[id.0];
        record.outcome = Outcome::Success;
        record.status = Some(status);
        record.first_token_ms = Some(millis(latency));
        record.duration_ms = millis(latency);
    }

    /// Notes how an attempt ended after its first event. A failure counts for the target's health,
    /// though nothing can be attempted for this call any more.
    pub fn ended(&mut self, id: AttemptId, end: AttemptEnd<'_>, now: Instant) {
        let Some(running) = self.stop(id, now) else {
            return;
        };
        let record = &mut self.attempts[id.0];
        match end {
            AttemptEnd::Complete => {}
            AttemptEnd::Canceled => record.outcome = Outcome::Canceled,
            AttemptEnd::Failed(error) => {
                record.outcome = Outcome::Failed(error.kind.code());
                record.message = Some(error.message().to_owned());
                self.note_health(&running, error, now);
            }
        }
    }

    /// Notes a failure before the first event. Gives the error back if nothing else should be
    /// attempted.
    pub fn failed(&mut self, id: AttemptId, error: Error, now: Instant) -> Result<()> {
        let Some(running) = self.stop(id, now) else {
            return Err(error);
        };
        self.note_failure(id, &error);
        // Before the decision, which looks at what cools down.
        self.note_health(&running, &error, now);
        let next = self.decide(running.course, &error, now);
        self.attempts[id.0].next = Some(next);
        if next == NextStep::FailFast {
            return Err(self.with_attempts(error));
        }
        // A rejected part is no reason for the client: the same target is attempted without it.
        if next != NextStep::ApplyRemedy {
            self.kinds.push(error.kind);
            self.first_error.get_or_insert(error);
        }
        Ok(())
    }

    /// Notes that a key was refused which has been replaced since, and attempts the same target
    /// again under the keys of `plan`. False, and nothing is noted, when `plan` has other targets.
    pub fn keys_replaced(
        &mut self,
        id: AttemptId,
        error: &Error,
        plan: Arc<RoutePlan>,
        now: Instant,
    ) -> bool {
        let is_same = |(one, other): (&Target, &Target)| {
            one.provider == other.provider && one.model == other.model
        };
        let same_targets = self.plan.targets.len() == plan.targets.len()
            && self.plan.targets.iter().zip(&plan.targets).all(is_same);
        if !same_targets {
            return false;
        }
        let Some(running) = self.stop(id, now) else {
            return false;
        };
        self.note_failure(id, error);
        self.attempts[id.0].next = Some(NextStep::NextKey);

        let mut course = running.course;
        let target = &plan.targets[course.target];
        if let Some(key) = select::next_key(target, &[], &self.health.cooldowns, now) {
            course.key = key;
            course.keys_tried = vec![key];
        }
        // The new plan stays for the rest of the call: its other targets may have new keys, too.
        self.plan = plan;
        self.retry = Some(Retry { course, delay: Duration::ZERO });
        true
    }

    /// Notes that a target rejects a request that was adapted to it, and attempts the same target with
    /// the request in another form. False, and nothing is noted, when the attempt does not run.
    pub fn repeat(&mut self, id: AttemptId, error: &Error, now: Instant) -> bool {
        let Some(running) = self.stop(id, now) else {
            return false;
        };
        self.note_failure(id, error);
        self.attempts[id.0].next = Some(NextStep::ApplyRemedy);
        self.retry = Some(Retry { course: running.course, delay: Duration::ZERO });
        true
    }

    /// Passes over a target before it is asked, since a limit of the operator's own is reached.
    pub fn passed_over(&mut self, id: AttemptId, error: Error, now: Instant) {
        let Some(running) = self.stop(id, now) else {
            return;
        };
        self.note_failure(id, &error);
        let course = running.course;
        let target = &self.plan.targets[course.target];
        let cooldowns = &self.health.cooldowns;

        let key = select::next_key(target, &course.keys_tried, cooldowns, now);
        let free = key.filter(|key| select::key_remaining(target, *key, cooldowns, now).is_zero());
        let next = match free {
            Some(key) => {
                let keys_tried = [&course.keys_tried[..], &[key]].concat();
                let course = Course { key, keys_tried, ..course };
                self.retry = Some(Retry { course, delay: Duration::ZERO });
                NextStep::NextKey
            }
            None if self.has_next(now) => NextStep::NextTarget,
            None => NextStep::Exhausted,
        };
        self.attempts[id.0].next = Some(next);
        self.kinds.push(error.kind);
        self.first_error.get_or_insert(error);
    }

    /// Ends every attempt that still runs as canceled, and gives all of them.
    pub fn close(&mut self, now: Instant) -> Vec<AttemptRecord> {
        while let Some(id) = self.running.last().map(|running| running.id) {
            self.ended(id, AttemptEnd::Canceled, now);
        }
        std::mem::take(&mut self.attempts)
    }

    fn stop(&mut self, id: AttemptId, now: Instant) -> Option<Running> {
        let place = self.running.iter().position(|it| it.id == id)?;
        let running = self.running.swap_remove(place);
        let target = &self.plan.targets[running.course.target];
        self.health.targets.ended(&target.provider, &target.model);
        let cooldowns = &self.health.cooldowns;
        // Whatever the outcome: a success has removed the cooldown, a failure begins a new one.
        cooldowns.release_probe(&target.provider, &target.model, running.course.key);
        let elapsed = now.saturating_duration_since(running.started);
        self.attempts[id.0].duration_ms = millis(elapsed);
        Some(running)
    }

    fn note_failure(&mut self, id: AttemptId, error: &Error) {
        let record = &mut self.attempts[id.0];
        record.outcome = Outcome::Failed(error.kind.code());
        (record.status, record.is_unsent) = (error.provider_status, error.is_unsent);
        record.message = Some(error.message().to_owned());
    }

    /// Decides what follows a failure, and prepares it.
    fn decide(&mut self, mut course: Course, error: &Error, now: Instant) -> NextStep {
        // First, because a remedy leads to a response from the target that the operator prefers.
        if course.remedies.add(error) {
            self.retry = Some(Retry { course, delay: Duration::ZERO });
            return NextStep::ApplyRemedy;
        }
        let falls_back_on_any = self.is_rescuing || self.plan.fallback_on == FallbackOn::Any;
        // A target with the same window would refuse the prompt as well.
        if error.kind == ErrorKind::ContextLength && !falls_back_on_any {
            self.keep_larger_models(course.target);
            return if self.untried.is_empty() { NextStep::FailFast } else { NextStep::NextTarget };
        }
        if !error.kind.advances() && !falls_back_on_any {
            return NextStep::FailFast;
        }
        // Another key before a retry: it needs no waiting, and has limits of its own.
        if let Some(key) = self.other_key(&course, error, now) {
            course.key = key;
            course.keys_tried.push(key);
            self.retry = Some(Retry { course, delay: Duration::ZERO });
            return NextStep::NextKey;
        }
        if let Some(delay) = self.retry_delay(&course, error, now) {
            course.retried += 1;
            self.retry = Some(Retry { course, delay });
            return NextStep::RetryTarget;
        }
        if self.has_next(now) { NextStep::NextTarget } else { NextStep::Exhausted }
    }

    /// Whether a target is left that does not cool down.
    pub fn has_next(&self, now: Instant) -> bool {
        let targets = self.untried.iter().map(|target| &self.plan.targets[*target]);
        let mut left = targets.map(|it| select::remaining(it, &self.health.cooldowns, now));
        left.any(|it| it.is_zero())
    }

    /// Another key of the same provider, when the failure is about the key.
    fn other_key(&self, course: &Course, error: &Error, now: Instant) -> Option<KeyFingerprint> {
        let is_about_the_key = match error.kind {
            ErrorKind::RateLimited => true,
            // A 404 is about the model, which no other key of the provider has either, as a rule.
            ErrorKind::ProviderAccess => error.provider_status != Some(404),
            _ => false,
        };
        if !is_about_the_key {
            return None;
        }
        let target = &self.plan.targets[course.target];
        let cooldowns = &self.health.cooldowns;
        let key = select::next_key(target, &course.keys_tried, cooldowns, now)?;
        Some(key).filter(|key| select::key_remaining(target, *key, cooldowns, now).is_zero())
    }

    /// How long to wait before the same target is attempted again; none when another is better.
    ///
    /// Retries are for failures that come quickly: after a time-out another target is better, as long
    /// as there is one.
    fn retry_delay(&mut self, course: &Course, error: &Error, now: Instant) -> Option<Duration> {
        let retries = self.plan.targets[course.target].retries;
        if !error.kind.is_transient() || retries <= course.retried {
            return None;
        }
        if error.kind == ErrorKind::Timeout && self.has_next(now) {
            return None;
        }
        let max_delay = FIRST_RETRY_DELAY * 2_u32.saturating_pow(course.retried.min(6));
        // Jitter keeps calls that failed together from coming back together.
        let jittered = max_delay.mul_f64(0.5 + self.random.f64() / 2.0);
        let delay = jittered.max(error.retry_after.unwrap_or_default());
        // A wait that uses up the rest of the time would end in a timeout without an attempt.
        let fits = delay < self.limits.deadline.saturating_duration_since(now);
        Some(delay).filter(|delay| fits && *delay <= MAX_RETRY_DELAY)
    }

    /// Leaves only targets of another model that is not known to hold as little as this one.
    fn keep_larger_models(&mut self, target: usize) {
        let targets = &self.plan.targets;
        self.untried.retain(|other| select::may_hold_more(&targets[*other], &targets[target]));
    }
}

impl Drop for Failover {
    /// Attempts that were never ended are no longer in flight.
    fn drop(&mut self) {
        for running in &self.running {
            let target = &self.plan.targets[running.course.target];
            self.health.targets.ended(&target.provider, &target.model);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
