//! Refusals: why a call is not admitted, and all that its response says about it.

use std::time::Duration;

use canonical::{Error, ErrorKind, LimitDetails, MicroDollars, Origin};

use crate::{limits::LimitSource, quota::Quota, window::rfc3339};

/// The longest `Retry-After` that official SDKs wait for, in seconds.
const MAX_SDK_WAIT: u64 = 120;

/// What kind of refusal a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// A rate limit or quota is reached, or what is left is held by calls in flight.
    RateLimit,
    /// The budget of the period is spent.
    BudgetExceeded,
    /// The call alone may cost more than the whole budget.
    RequestExceedsBudget,
    /// The tenant has a budget, and the price of the call is unknown.
    BudgetUnpriced,
}

impl RefusalKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::RateLimit => 429,
            Self::BudgetExceeded | Self::RequestExceedsBudget | Self::BudgetUnpriced => 402,
        }
    }

    /// The word for it in errors and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::BudgetExceeded => "budget_exceeded",
            Self::RequestExceedsBudget => "request_exceeds_budget",
            Self::BudgetUnpriced => "budget_unpriced",
        }
    }
}

/// Why a call is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// The limit that refuses, and where the tenant stands against it.
    pub quota: Quota,
    /// What the call needs of it.
    pub needed: u64,
    /// When the same call may be admitted, in seconds since 1970; absent where waiting is no help.
    pub retry_at: Option<u64>,
    /// How many calls are in flight, as far as they are counted.
    pub in_flight: u64,
    /// Where the tenant stands against every limit, as far as the ledger was read.
    pub quotas: Vec<Quota>,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The limit that refuses, named as the tenant's field: `limit_source` of an error.
    pub fn limit_source(&self) -> &'static str {
        self.quota.source.field()
    }

    /// When the limit starts anew, in seconds since 1970.
    pub fn reset(&self) -> Option<u64> {
        self.quota.reset
    }

    /// The value of `Retry-After`, at least 1 second; absent where waiting is no help.
    pub fn retry_after(&self, now: u64) -> Option<u64> {
        // A 402 does not pass by waiting, and SDKs would retry what has the header.
        (self.status() == 429).then_some(self.retry_at?.saturating_sub(now).max(1))
    }

    /// The value of `x-should-retry`, which SDKs obey before anything else.
    pub fn should_retry(&self, now: u64) -> bool {
        // A longer wait would be cut short by the SDK, whose next attempt is refused again.
        self.retry_after(now).is_some_and(|seconds| seconds <= MAX_SDK_WAIT)
    }

    /// Whether the call is refused only because of what calls in flight hold.
    pub fn waits_for_calls(&self) -> bool {
        let starts_anew = self.retry_at == self.quota.reset;
        self.kind == RefusalKind::RateLimit && self.quota.held != 0 && !starts_anew
    }

    /// The error that the client gets.
    pub fn to_error(&self, now: u64) -> Error {
        let kind = match self.kind {
            RefusalKind::RateLimit => ErrorKind::RateLimited,
            RefusalKind::BudgetExceeded
            | RefusalKind::RequestExceedsBudget
            | RefusalKind::BudgetUnpriced => ErrorKind::BudgetExceeded,
        };

        let mut error = Error::new(kind, self.message()).from_origin(Origin::Policy);
        error.retry_after = self.retry_after(now).map(Duration::from_secs);
        error.limit = Some(LimitDetails {
            reason: self.kind.reason(),
            source: self.limit_source(),
            reset: self.reset().map(rfc3339),
            should_retry: self.should_retry(now),
        });
        error
    }

    /// The sentence for the client, without its origin.
    pub fn message(&self) -> String {
        let Quota { source, limit, .. } = self.quota;
        let (field, dollars) = (source.field(), MicroDollars(limit));
        let needed = MicroDollars(self.needed);
        // Without what calls in flight hold: the same call is refused again when they have ended.
        let left = self.quota.remaining();
        match self.kind {
            RefusalKind::BudgetUnpriced => {
                "The price of this call is unknown, and the key has a budget (`budget_usd`)."
                    .to_owned()
            }
            RefusalKind::RequestExceedsBudget if source == LimitSource::Budget => format!(
                "This call may cost ${needed}, more than the whole budget of ${dollars} (`{field}`); shorten the prompt or lower the maximum of output tokens."
            ),
            RefusalKind::RequestExceedsBudget => {
                format!("This call is larger than the whole limit of {limit} (`{field}`).")
            }
            RefusalKind::BudgetExceeded if 0 < left => format!(
                "This call may cost ${needed}, and ${} of the budget of ${dollars} are left (`{field}`); shorten the prompt or lower the maximum of output tokens.",
                MicroDollars(left)
            ),
            RefusalKind::BudgetExceeded => format!(
                "The budget of ${dollars} is spent (`{field}`){}.",
                self.reset()
                    .map_or(String::new(), |at| format!("; it starts anew at {}", rfc3339(at)))
            ),
            RefusalKind::RateLimit => self.limit_message(),
        }
    }

    /// The sentence about a limit that is reached, or that calls in flight hold the rest of.
    fn limit_message(&self) -> String {
        let Quota { source, limit, .. } = self.quota;
        let (field, left) = (source.field(), self.quota.remaining());
        let is_of_tokens =
            matches!(source, LimitSource::DailyInputTokens | LimitSource::DailyOutputTokens);
        match source {
            LimitSource::Budget => format!(
                "What is left of the budget of ${} is held by {} calls in flight (`{field}`); try again when they have ended.",
                MicroDollars(limit),
                self.in_flight
            ),
            _ if is_of_tokens && limit < self.needed => format!(
                "This call may use {} tokens, more than the whole limit of {limit} {} (`{field}`).",
                self.needed,
                unit(source)
            ),
            _ if is_of_tokens && 0 < left && left < self.needed => format!(
                "This call may use {} tokens, and {left} of {limit} {} are left (`{field}`).",
                self.needed,
                unit(source)
            ),
            LimitSource::Concurrency => {
                format!(
                    "{} calls are in flight and {limit} are allowed (`{field}`).",
                    self.in_flight
                )
            }
            _ if self.waits_for_calls() => format!(
                "What is left of the limit of {limit} tokens is held by {} calls in flight (`{field}`); try again when they have ended.",
                self.in_flight
            ),
            _ => format!("The limit of {limit} {} is reached (`{field}`).", unit(source)),
        }
    }
}

/// What a limit counts, in words.
fn unit(source: LimitSource) -> &'static str {
    match source {
        LimitSource::RequestsPerMinute => "requests per minute",
        LimitSource::RequestsPerHour => "requests per hour",
        LimitSource::RequestsPerDay => "requests per day",
        LimitSource::DailyInputTokens => "input tokens per day",
        LimitSource::DailyOutputTokens => "output tokens per day",
        LimitSource::Concurrency => "concurrent calls",
        LimitSource::Budget => "micro-dollars",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: RefusalKind, source: LimitSource, retry_at: Option<u64>) -> Refusal {
        let quota = Quota { source, limit: 5_000_000, used: 4_000_000, held: 0, reset: Some(0) };
        Refusal { kind, quota, needed: 2_000_000, retry_at, in_flight: 3, quotas: vec![quota] }
    }

    #[test]
    fn a_client_retries_only_what_frees_soon() {
        let soon = refusal(RefusalKind::RateLimit, LimitSource::RequestsPerMinute, Some(1_060));
        assert_eq!((soon.retry_after(1_000), soon.should_retry(1_000)), (Some(60), true));
        assert_eq!(soon.retry_after(1_060), Some(1));
        let late = refusal(RefusalKind::RateLimit, LimitSource::RequestsPerDay, Some(9_000));
        assert_eq!((late.retry_after(1_000), late.should_retry(1_000)), (Some(8_000), false));
        let spent = refusal(RefusalKind::BudgetExceeded, LimitSource::Budget, Some(1_001));
        assert_eq!((spent.retry_after(1_000), spent.should_retry(1_000)), (None, false));
    }

    #[test]
    fn an_error_names_the_limit_and_when_it_starts_anew() {
        let soon = refusal(RefusalKind::RateLimit, LimitSource::RequestsPerMinute, Some(1_060));
        let error = soon.to_error(1_000);
        assert_eq!((error.status(), error.retry_after), (429, Some(Duration::from_secs(60))));
        let unpriced = refusal(RefusalKind::BudgetUnpriced, LimitSource::Budget, None);
        let error = unpriced.to_error(1_000);
        assert_eq!((error.status(), error.retry_after), (402, None));
        let limit = error.limit.clone().unwrap();
        assert_eq!((limit.reason, limit.source), ("budget_unpriced", "budget_usd"));
        assert_eq!(limit.reset.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert!(!limit.should_retry);
    }

    #[test]
    fn a_message_names_the_limit_and_its_size() {
        let held = refusal(RefusalKind::RateLimit, LimitSource::Budget, Some(1));
        assert_eq!(
            held.message(),
            "What is left of the budget of $5.000000 is held by 3 calls in flight (`budget_usd`); try again when they have ended."
        );
        let mut spent = refusal(RefusalKind::BudgetExceeded, LimitSource::Budget, None);
        assert_eq!(
            spent.message(),
            "This call may cost $2.000000, and $1.000000 of the budget of $5.000000 are left (`budget_usd`); shorten the prompt or lower the maximum of output tokens."
        );
        spent.quota.used = spent.quota.limit;
        assert_eq!(
            spent.message(),
            "The budget of $5.000000 is spent (`budget_usd`); it starts anew at 1970-01-01T00:00:00Z."
        );
        let large = refusal(RefusalKind::RequestExceedsBudget, LimitSource::Budget, None);
        assert!(large.message().contains("may cost $2.000000"), "{}", large.message());
        let tokens = refusal(RefusalKind::RateLimit, LimitSource::DailyOutputTokens, Some(1));
        assert_eq!(
            tokens.message(),
            "This call may use 2000000 tokens, and 1000000 of 5000000 output tokens per day are left (`daily_output_tokens`)."
        );
        let rate = refusal(RefusalKind::RateLimit, LimitSource::RequestsPerHour, Some(1));
        assert!(rate.message().contains("5000000 requests per hour"), "{}", rate.message());
    }
}
