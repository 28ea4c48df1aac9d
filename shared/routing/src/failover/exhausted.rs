//! The error that a client gets when no target is left: one that it can act on, if there is one.

use std::time::{Duration, Instant};

use canonical::{AttemptRecord, Error, ErrorKind};

use super::Failover;
use crate::select;

/// The least `Retry-After` where no cooldown says how long.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Failover {
    /// The error of a call for which nothing is left to attempt.
    pub(super) fn exhausted(&mut self, now: Instant) -> Error {
        let Some(first) = self.first_error.take() else {
            let message = "The time for this request was over before a provider could be asked.";
            return self.with_attempts(Error::new(ErrorKind::Timeout, message));
        };
        if !first.kind.advances() {
            return self.with_attempts(first);
        }
        let kind = self.common_kind();
        let retry_after = self.retry_after(kind, &first, now);

        // A single failure keeps its own words, parameter and status.
        let mut error = if self.attempts.len() == 1 {
            first
        } else {
            let mut error = Error::new(kind, self.message_of_all());
            error.param = first.param.clone().filter(|_| kind == ErrorKind::Unsupported);
            error
        };
        error.retry_after = retry_after;
        self.with_attempts(error)
    }

    pub(super) fn with_attempts(&self, mut error: Error) -> Error {
        error.attempts.clone_from(&self.attempts);
        error
    }

    fn message_of_all(&self) -> String {
        let whose = match &self.plan.route {
            Some(route) => format!("Every step of `{route}` failed"),
            None => "Every attempt failed".to_owned(),
        };
        let each: Vec<String> = self.attempts.iter().map(describe).collect();
        format!("{whose}. {}", each.join("; "))
    }

    /// The kind that all failures have in common. Targets that could not be called count only where
    /// none was.
    fn common_kind(&self) -> ErrorKind {
        let mut kinds = self.kinds.iter().filter(|kind| **kind != ErrorKind::Unsupported);
        match kinds.next() {
            None => ErrorKind::Unsupported,
            Some(kind) if kinds.all(|other| other == kind) => *kind,
            Some(_) => ErrorKind::Upstream,
        }
    }

    /// How long until the first of the plan's targets may be asked again.
    fn retry_after(&self, kind: ErrorKind, first: &Error, now: Instant) -> Option<Duration> {
        if kind != ErrorKind::RateLimited {
            return None;
        }
        let cooldowns = &self.health.cooldowns;
        let left = self.plan.targets.iter().map(|it| select::remaining(it, cooldowns, now)).min();
        let left = left.filter(|left| !left.is_zero()).or(first.retry_after);
        Some(left.unwrap_or_default().max(MIN_RETRY_AFTER))
    }
}

fn describe(attempt: &AttemptRecord) -> String {
    let message = attempt.message.as_deref().unwrap_or(attempt.outcome.as_str());
    format!("{} ({}): {message}", attempt.provider, attempt.model)
}
