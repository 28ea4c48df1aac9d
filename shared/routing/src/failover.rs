//! Whom to try next, and when to stop.
//!
//! The decisions are here; the sockets are not. That keeps the rules testable without either.

use std::{sync::Arc, time::Duration};

use canonical::{AttemptRecord, Error, ErrorKind, Field, Outcome, Remedy, Result};
use config::FallbackOn;

use crate::{
    health::{Cooldown, Cooldowns},
    resolve::{RoutePlan, Target},
};

/// The first pause before a step is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that is worth waiting for: beyond it the next step is better.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How many fields a step is asked without.
const MOST_FIELDS: usize = 4;
/// How long a client is told to wait when nobody knows better.
const SHORTEST_REST: Duration = Duration::from_secs(1);

/// What bounds a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When it has to be over.
    pub deadline: u64,
    /// What makes its pauses differ from those of others.
    pub seed: u64,
}

/// One call's way through its plan.
#[derive(Debug)]
pub struct Failover {
    plan: Arc<RoutePlan>,
    rests: Arc<Cooldowns>,
    limits: Limits,
    random: fastrand::Rng,
    /// Steps not tried yet, by their place in the plan.
    open: Vec<usize>,
    current: Option<Current>,
    /// Whether a step was tried although all rest: that is done once.
    last_resort: bool,
    /// The same step once more, after a pause.
    again: Option<Duration>,
    attempts: Vec<AttemptRecord>,
    /// The first failure: the one that tells most.
    first: Option<Error>,
    kinds: Vec<ErrorKind>,
}

#[derive(Debug)]
struct Current {
    step: usize,
    key: usize,
    keys_tried: u64,
    retried: u32,
    without: AppliedRemedies,
    since: u64,
}

/// What a provider is asked without, because it has refused it and may answer otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedRemedies {
    /// What proves earlier thoughts.
    pub proofs: bool,
    /// What only betas have.
    pub betas: bool,
    /// What its model does not take.
    pub fields: Vec<Field>,
}

impl AppliedRemedies {
    /// Adds the remedy that a failure suggests. False where that would change nothing.
    fn add(&mut self, error: &Error) -> bool {
        match &error.remedy {
            Some(Remedy::DropSignatures) => !std::mem::replace(&mut self.proofs, true),
            Some(Remedy::DropBetas) => !std::mem::replace(&mut self.betas, true),
            Some(Remedy::DropParam(field)) => self.drop_field(field),
            Some(Remedy::SchemaAsText) => self.drop_field(&Field::ResponseSchema),
            None => false,
        }
    }

    fn drop_field(&mut self, field: &Field) -> bool {
        if self.fields.contains(field) {
            return false;
        }
        self.fields.push(field.clone());
        self.fields.len() <= MOST_FIELDS
    }
}

/// Whom to try now.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How long to wait before.
    pub pause: Duration,
    /// Which key of the provider's pool to use.
    pub key: usize,
    /// What is left out, since the provider has refused it.
    pub without: AppliedRemedies,
    /// How long it may take: the whole answer, or the first token of a stream.
    pub timeout: Duration,
    plan: Arc<RoutePlan>,
    step: usize,
}

impl Attempt {
    /// The step of the plan.
    pub fn step(&self) -> &Target {
        &self.plan.steps[self.step]
    }
}

/// What would happen to one step now.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// The step's place in the plan.
    pub step: usize,
    /// What would happen.
    pub verdict: Verdict,
}

/// What would happen to a step, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried, after those before it failed.
    Tried,
    /// It rests after a failure, for so many milliseconds more.
    Resting(u64),
    /// Everything rests, and this one is free soonest.
    SoonestFree(u64),
}

impl Failover {
    /// Starts on a plan.
    pub fn new(plan: Arc<RoutePlan>, rests: Arc<Cooldowns>, limits: Limits) -> Self {
        let open = (0..plan.steps.len()).collect();
        Self {
            plan,
            rests,
            limits,
            random: fastrand::Rng::with_seed(limits.seed),
            open,
            current: None,
            last_resort: false,
            again: None,
            attempts: vec![],
            first: None,
            kinds: vec![],
        }
    }

    /// The plan that is followed.
    pub fn plan(&self) -> &RoutePlan {
        &self.plan
    }

    /// Whom to try now, or the failure that the client gets when nobody is left.
    pub fn next(&mut self, now: u64) -> Result<Attempt> {
        let left = Duration::from_millis(self.limits.deadline.saturating_sub(now));
        if left.is_zero() {
            return Err(self.give_up(now));
        }
        let pause = self.again.take().unwrap_or_default();
        if self.current.is_none() && !self.advance(now) {
            return Err(self.give_up(now));
        }
        let Some(current) = &mut self.current else {
            return Err(self.give_up(now));
        };
        current.since = now + millis(pause);
        let step = &self.plan.steps[current.step];
        Ok(Attempt {
            pause,
            key: current.key,
            without: current.without.clone(),
            timeout: step.timeout.min(left.saturating_sub(pause)),
            plan: self.plan.clone(),
            step: current.step,
        })
    }

    /// Takes the next step that does not rest; when all do, the one that is free soonest.
    fn advance(&mut self, now: u64) -> bool {
        let free = self.open.iter().position(|it| self.free_at(*it) <= now);
        let place = free.or_else(|| {
            let all_rest = (0..self.plan.steps.len()).all(|it| now < self.free_at(it));
            let soonest = (0..self.open.len()).min_by_key(|it| self.free_at(self.open[*it]));
            soonest.filter(|_| all_rest && !std::mem::replace(&mut self.last_resort, true))
        });
        let Some(place) = place else {
            return false;
        };
        let step = self.open.remove(place);
        let key = self.freest_key(step, 0, now).unwrap_or(0);
        self.current = Some(Current {
            step,
            key,
            keys_tried: bit(key),
            retried: 0,
            without: AppliedRemedies::default(),
            since: now,
        });
        true
    }

    /// When a step is free: as soon as one of its keys is.
    fn free_at(&self, step: usize) -> u64 {
        let step = &self.plan.steps[step];
        (0..step.keys).map(|key| self.until(step, key)).min().unwrap_or(0)
    }

    fn until(&self, step: &Target, key: usize) -> u64 {
        self.rests.until(&step.provider, &step.model, key)
    }

    /// The first key that is free and not in `tried`; when none is free, the one free soonest.
    fn freest_key(&self, step: usize, tried: u64, now: u64) -> Option<usize> {
        let step = &self.plan.steps[step];
        let untried = (0..step.keys).filter(|key| tried & bit(*key) == 0);
        untried.min_by_key(|key| self.until(step, *key).max(now))
    }

    /// Notes that the provider answers.
    pub fn succeeded(&mut self, status: u16, now: u64) -> Vec<AttemptRecord> {
        if let Some(current) = self.current.take() {
            self.note(&current, (Outcome::Success, Some(status), None), now);
            let step = &self.plan.steps[current.step];
            self.rests.wake(&step.provider, &step.model, current.key, now);
        }
        std::mem::take(&mut self.attempts)
    }

    /// Notes a failure. Gives it back, with the trail, if nobody else should be asked.
    pub fn failed(&mut self, error: Error, now: u64) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Err(error);
        };
        let outcome = Outcome::Failed(error.kind.code());
        let message = error.message().to_owned();
        self.note(&current, (outcome, error.provider_status, Some(message)), now);
        self.let_rest(&current, &error, now);

        if current.without.add(&error) {
            self.current = Some(current);
            self.again = Some(Duration::ZERO);
            return Ok(());
        }
        let any = self.plan.fallback_on == FallbackOn::Any;
        if error.kind == ErrorKind::ContextLength && !any {
            self.keep_larger(current.step);
        }
        let stops = !error.kind.advances() && error.kind != ErrorKind::ContextLength && !any;
        let nobody_larger = error.kind == ErrorKind::ContextLength && self.open.is_empty();
        if stops || nobody_larger {
            return Err(self.with_trail(error));
        }
        self.kinds.push(error.kind);
        if let Some(key) = self.other_key(&current, &error, now) {
            current.key = key;
            current.keys_tried |= bit(key);
            self.current = Some(current);
            self.again = Some(Duration::ZERO);
        } else if let Some(pause) = self.pause(&current, &error, now) {
            current.retried += 1;
            self.current = Some(current);
            self.again = Some(pause);
        }
        self.first.get_or_insert(error);
        Ok(())
    }

    /// Another key of the same provider, when this one was refused or is used up.
    fn other_key(&self, current: &Current, error: &Error, now: u64) -> Option<usize> {
        let about_the_key = match error.kind {
            ErrorKind::RateLimited => true,
            ErrorKind::ProviderAccess => error.provider_status != Some(404),
            _ => false,
        };
        let key = self.freest_key(current.step, current.keys_tried, now)?;
        (about_the_key && self.until(&self.plan.steps[current.step], key) <= now).then_some(key)
    }

    /// How long to wait before the same step is tried again; none when the next one is better.
    fn pause(&mut self, current: &Current, error: &Error, now: u64) -> Option<Duration> {
        if !error.kind.is_transient() || self.plan.steps[current.step].retries <= current.retried {
            return None;
        }
        let longest = FIRST_PAUSE * 2_u32.saturating_pow(current.retried.min(6));
        let jittered = longest.mul_f64(0.5 + self.random.f64() / 2.0);
        let pause = jittered.max(error.retry_after.unwrap_or_default());
        let fits = now + millis(pause) < self.limits.deadline;
        (fits && pause <= LONGEST_PAUSE).then_some(pause)
    }

    /// Leaves only the steps whose model is known to hold more than this one's.
    fn keep_larger(&mut self, step: usize) {
        let window = |it: usize| self.plan.steps[it].context_window;
        let held = window(step);
        self.open
            .retain(|it| window(*it).is_some_and(|other| held.is_none_or(|held| held < other)));
    }

    /// Lets the candidate rest after a 429 or a 5xx, or its key after a refusal when there are more.
    fn let_rest(&self, current: &Current, error: &Error, now: u64) {
        let step = &self.plan.steps[current.step];
        let failing = error.kind == ErrorKind::RateLimited
            || matches!(error.kind, ErrorKind::Upstream | ErrorKind::Timeout)
                && error.provider_status.is_some_and(|it| 500 <= it);
        let refused = error.kind == ErrorKind::ProviderAccess && 1 < step.keys;
        if self.plan.cooldown.is_zero() || !(failing || refused) {
            return;
        }
        let until = now + millis(error.retry_after.unwrap_or(self.plan.cooldown));
        let keys = if error.kind == ErrorKind::RateLimited || refused {
            current.key..current.key + 1
        } else {
            0..step.keys
        };
        for key in keys {
            let (provider, model) = (step.provider.clone(), step.model.clone());
            self.rests.rest(Cooldown { provider, model, key, until }, now);
        }
    }

    /// Adds to the trail what came of a try: outcome, status and message.
    fn note(
        &mut self,
        current: &Current,
        (outcome, status, message): (Outcome, Option<u16>, Option<String>),
        now: u64,
    ) {
        let step = &self.plan.steps[current.step];
        self.attempts.push(AttemptRecord {
            provider: step.provider.clone(),
            model: step.model.clone(),
            outcome,
            status,
            duration_ms: now.saturating_sub(current.since),
            message,
        });
    }

    fn with_trail(&mut self, mut error: Error) -> Error {
        error.attempts = std::mem::take(&mut self.attempts);
        error
    }

    /// The failure that the client gets when everyone failed: one it can act on, if there is one.
    fn give_up(&mut self, now: u64) -> Error {
        let Some(first) = self.first.take() else {
            let message = "The time for this request was over before a provider could be asked.";
            return self.with_trail(Error::new(ErrorKind::Timeout, message));
        };
        if !first.kind.advances() {
            return self.with_trail(first);
        }
        let kind = self.kind_of_all();
        if self.attempts.len() == 1 {
            let retry_after = self.retry_after(kind, &first, now);
            let mut error = self.with_trail(first);
            error.retry_after = retry_after;
            return error;
        }
        let told: Vec<String> = self.attempts.iter().map(tell).collect();
        let whose = match &self.plan.route {
            Some(route) => format!("Every step of `{route}` failed"),
            None => "Every attempt failed".to_owned(),
        };
        let mut error = Error::new(kind, format!("{whose}. {}", told.join("; ")));
        error.retry_after = self.retry_after(kind, &first, now);
        error.param = first.param.clone().filter(|_| kind == ErrorKind::Unsupported);
        self.with_trail(error)
    }

    /// What is common to all failures. Steps that were never asked count only where nobody was.
    fn kind_of_all(&self) -> ErrorKind {
        let mut asked = self.kinds.iter().filter(|it| **it != ErrorKind::Unsupported);
        match asked.next() {
            None => ErrorKind::Unsupported,
            Some(kind) if asked.all(|it| it == kind) => *kind,
            Some(_) => ErrorKind::Upstream,
        }
    }

    /// When the first of the plan's steps is free again.
    fn retry_after(&self, kind: ErrorKind, first: &Error, now: u64) -> Option<Duration> {
        if kind != ErrorKind::RateLimited {
            return None;
        }
        let soonest = (0..self.plan.steps.len()).map(|it| self.free_at(it)).min().unwrap_or(0);
        let rest = Duration::from_millis(soonest.saturating_sub(now));
        let hinted = if rest.is_zero() { first.retry_after.unwrap_or(rest) } else { rest };
        Some(hinted.max(SHORTEST_REST))
    }

    /// What would happen to each step now, without trying any.
    pub fn outlook(&self, now: u64) -> Vec<Outlook> {
        let steps = 0..self.plan.steps.len();
        let rest = |step: usize| self.free_at(step).saturating_sub(now);
        let all_rest = steps.clone().all(|it| 0 < rest(it));
        let soonest = steps.clone().min_by_key(|it| rest(*it));
        let verdict = |step: usize| match rest(step) {
            0 => Verdict::Tried,
            left if all_rest && soonest == Some(step) => Verdict::SoonestFree(left),
            left => Verdict::Resting(left),
        };
        steps.map(|step| Outlook { step, verdict: verdict(step) }).collect()
    }
}

fn tell(attempt: &AttemptRecord) -> String {
    let said = attempt.message.as_deref().unwrap_or(attempt.outcome.as_str());
    format!("{} ({}): {said}", attempt.provider, attempt.model)
}

fn bit(key: usize) -> u64 {
    1_u64.checked_shl(u32::try_from(key).unwrap_or(u32::MAX)).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
