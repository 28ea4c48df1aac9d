//! What a failure means for the health of its target: whether a cooldown begins, of what, how long.

use std::time::{Duration, Instant};

use canonical::{Error, ErrorKind, Quota};

use super::{AttemptId, Failover, Running, millis};
use crate::{
    health::{Cooldown, CooldownCause, CooldownReason},
    resolve::Target,
};

/// How long a key whose credit is spent is not asked. Nobody pays within minutes.
const CREDIT_COOLDOWN: Duration = Duration::from_secs(4 * 60 * 60);
/// How long a key whose quota of the day is used up is not asked, where the provider names no time
/// that fits: Gemini names seconds, after which the quota is still used up.
const DAY_COOLDOWN: Duration = Duration::from_secs(60 * 60);
/// From how long on a time that a provider names may be the end of a quota of the day.
const MIN_DAY_COOLDOWN: Duration = Duration::from_secs(2 * 60);

impl Failover {
    /// Notes that an attempt has used up a limit of its provider, as the provider's headers say: the
    /// key is left alone until it is free again, before it refuses.
    pub fn limit_used_up(&mut self, id: AttemptId, reset: Duration, now: Instant) {
        let Some(running) = self.running.iter().find(|it| it.id == id) else { return };
        if self.plan.cooldown.is_zero() {
            return;
        }
        let target = &self.plan.targets[running.course.target];
        let cause = CooldownCause {
            reason: CooldownReason::RateLimit,
            length: reset,
            max: reset,
            is_named: true,
            sent: running.started,
        };
        let (provider, model) = (target.provider.clone(), target.model.clone());
        let what = Cooldown { provider, model, key: running.course.key };
        let length = self.health.cooldowns.begin(what, cause, now);
        self.attempts[id.0].cooldown_ms = millis(length);
    }

    /// Counts a failure of the target, and begins a cooldown after a 429, an outage, or of a key that
    /// was refused when there are more.
    pub(super) fn note_health(&mut self, running: &Running, error: &Error, now: Instant) {
        let course = &running.course;
        let target = &self.plan.targets[course.target];
        if error.kind.is_transient() {
            self.health.targets.failed(&target.provider, &target.model);
        }
        let reason = match self.reason(running, target, error, now) {
            Some(reason) if !self.plan.cooldown.is_zero() => reason,
            _ => return,
        };
        if reason == CooldownReason::Outage {
            self.health.targets.forget_recent(&target.provider, &target.model);
        }
        let cause = CooldownCause {
            reason,
            length: self.length(reason, error),
            max: self.plan.cooldown_max,
            is_named: error.retry_after.is_some(),
            sent: running.started,
        };

        // An outage is about every key, everything else about the one that was used.
        let used = [course.key];
        let keys = if reason == CooldownReason::Outage { &target.keys[..] } else { &used[..] };
        let mut max = Duration::ZERO;
        for key in keys {
            let (provider, model) = (target.provider.clone(), target.model.clone());
            let what = Cooldown { provider, model, key: *key };
            max = max.max(self.health.cooldowns.begin(what, cause, now));
        }
        self.attempts[running.id.0].cooldown_ms = millis(max);
    }

    /// Why a cooldown begins; none when the failure is no reason.
    fn reason(
        &self,
        running: &Running,
        target: &Target,
        error: &Error,
        now: Instant,
    ) -> Option<CooldownReason> {
        // The provider's own words go before the status: a 429 may mean an empty account, which
        // lasts for hours.
        match error.quota {
            Some(Quota::Credit) => return Some(CooldownReason::Credit),
            Some(Quota::Day) => return Some(CooldownReason::DayQuota),
            None => {}
        }
        match error.kind {
            ErrorKind::RateLimited => Some(CooldownReason::RateLimit),
            // With one key alone a cooldown would only hide the provider's error from the next
            // client.
            ErrorKind::ProviderAccess if 1 < target.keys.len() => Some(CooldownReason::KeyRefused),
            ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Network
                if self.is_outage(running, target, error, now) =>
            {
                Some(CooldownReason::Outage)
            }
            _ => None,
        }
    }

    /// Whether a failure is one of an outage: of those that the breaker counts, one too many. Without
    /// a breaker, one 5xx is.
    fn is_outage(&self, running: &Running, target: &Target, error: &Error, now: Instant) -> bool {
        let (provider, model) = (&target.provider, &target.model);
        let is_server_error = error.provider_status.is_some_and(|status| 500 <= status);
        let Some(breaker) = self.plan.breaker else {
            // A connection that could not be made may be our own network's trouble.
            return error.kind != ErrorKind::Network && is_server_error;
        };
        let is_counted = is_server_error || error.kind != ErrorKind::Upstream;
        let failures = self.health.target(provider, model).recent_failures(breaker.of);
        // A probe that failed ends the matter: one failure is enough then.
        let was_probe = self.health.cooldowns.is_probed(provider, model, running.course.key, now);
        is_counted && (was_probe || breaker.failures <= failures)
    }

    /// How long a cooldown lasts at first.
    fn length(&self, reason: CooldownReason, error: &Error) -> Duration {
        let named = error.retry_after;
        match reason {
            CooldownReason::Credit => CREDIT_COOLDOWN.max(named.unwrap_or_default()),
            CooldownReason::DayQuota => {
                named.filter(|named| MIN_DAY_COOLDOWN <= *named).unwrap_or(DAY_COOLDOWN)
            }
            CooldownReason::RateLimit | CooldownReason::KeyRefused | CooldownReason::Outage => {
                named.unwrap_or(self.plan.cooldown)
            }
        }
    }
}
