//! Filters of the request log. They combine, and none of them hides failures by itself.

use crate::request_log::CallRow;

/// Which calls to list. What is absent does not bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Calls that ended at this moment or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Calls that ended before this moment, in milliseconds since 1970.
    pub until: Option<u64>,
    /// Calls of this tenant, by id.
    pub tenant: Option<String>,
    /// Calls under this key, by its id.
    pub key: Option<String>,
    /// Calls that requested, were sent to, or were answered by this model or route.
    pub model: Option<String>,
    /// Calls that attempted this provider.
    pub provider: Option<String>,
    /// How the calls ended.
    pub outcome: Option<OutcomeFilter>,
    /// Calls of this session.
    pub session: Option<String>,
    /// Calls that cost at least this, in micro-dollars.
    pub min_cost: Option<u64>,
    /// Calls that took at least this long, in milliseconds.
    pub min_latency: Option<u64>,
}

/// How the calls to list ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeFilter {
    /// Every failure and refusal.
    Failed,
    /// This outcome: `success`, `canceled` or the code of a failure.
    Is(String),
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFilter {
    /// The parameter.
    pub name: &'static str,
    /// What the parameter has to be, as a sentence.
    pub message: String,
}

impl OutcomeFilter {
    /// The filter with this name: `failed`, or an outcome.
    pub fn named(name: &str) -> Self {
        if name == "failed" { Self::Failed } else { Self::Is(name.to_owned()) }
    }
}

impl CallFilter {
    /// The filter that parameters describe, as they stand in a URL or are typed: `since` and `until`
    /// (milliseconds since 1970, or a time before now such as `90s`, `15m`, `2h`, `3d`), `tenant`,
    /// `key`, `model`, `provider`, `outcome`, `session`, `min_cost_usd` and `min_latency_ms`.
    pub fn parse(
        parameter: &dyn Fn(&str) -> Option<String>,
        now_ms: u64,
    ) -> Result<Self, BadFilter> {
        // A form on a page sends every field, the empty ones too.
        let text = |name: &str| parameter(name).filter(|it| !it.trim().is_empty());
        let moment = |name: &'static str| {
            let moment = text(name).map(|it| {
                moment(&it, now_ms).ok_or_else(|| BadFilter {
                    name,
                    message: format!("`{name}` is a time before now, such as 15m or 2h."),
                })
            });
            moment.transpose()
        };
        let cost = text("min_cost_usd").map(|it| {
            micro_dollars(&it).ok_or_else(|| BadFilter {
                name: "min_cost_usd",
                message: "`min_cost_usd` is an amount in US dollars.".to_owned(),
            })
        });
        let latency = text("min_latency_ms").map(|it| {
            it.parse().map_err(|_not_a_number| BadFilter {
                name: "min_latency_ms",
                message: "`min_latency_ms` is a whole number of milliseconds.".to_owned(),
            })
        });
        Ok(Self {
            since: moment("since")?,
            until: moment("until")?,
            tenant: text("tenant"),
            key: text("key"),
            model: text("model"),
            provider: text("provider"),
            outcome: text("outcome").map(|it| OutcomeFilter::named(&it)),
            session: text("session"),
            min_cost: cost.transpose()?,
            min_latency: latency.transpose()?,
        })
    }

    /// Whether a call is to be listed.
    pub fn matches(&self, row: &CallRow) -> bool {
        let ended = row.ended();
        self.since.is_none_or(|since| since <= ended)
            && self.until.is_none_or(|until| ended < until)
            && is_or_absent(self.tenant.as_deref(), row.tenant.as_deref())
            && is_or_absent(self.key.as_deref(), row.key_id.as_deref())
            && is_or_absent(self.session.as_deref(), row.session.as_deref())
            // A cost that is unknown is not at least anything.
            && self.min_cost.is_none_or(|min| row.cost.is_some_and(|cost| min <= cost))
            && self.min_latency.is_none_or(|min| min <= row.total_ms)
            && self.has_outcome(row)
            && self.names_model(row)
            && self.names_provider(row)
    }

    fn has_outcome(&self, row: &CallRow) -> bool {
        match &self.outcome {
            None => true,
            Some(OutcomeFilter::Failed) => row.has_failed(),
            Some(OutcomeFilter::Is(outcome)) => row.outcome == *outcome,
        }
    }

    fn names_model(&self, row: &CallRow) -> bool {
        let Some(model) = &self.model else { return true };
        // People look for the name they know: that of the client, of the route or of the provider.
        let names = [&row.requested_model, &row.route, &row.sent_model, &row.answered_model];
        names.into_iter().flatten().any(|name| name == model)
            // A model that failed and was fallen back from is looked for most of all.
            || row.attempts.iter().any(|attempt| attempt.model == *model)
    }

    fn names_provider(&self, row: &CallRow) -> bool {
        let Some(provider) = &self.provider else { return true };
        row.provider.as_ref() == Some(provider)
            || row.attempts.iter().any(|attempt| attempt.provider == *provider)
    }
}

/// A moment in milliseconds since 1970: given so, or as a time before now.
fn moment(text: &str, now_ms: u64) -> Option<u64> {
    let text = text.trim();
    // Links of pages carry moments, so that a page that is shared shows the same calls.
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let seconds = match text.strip_prefix(digits)? {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    // Typed by people: too many days must be an error, not a panic or a wrong time.
    let before = digits.parse::<u64>().ok()?.checked_mul(seconds * 1_000)?;
    Some(now_ms.saturating_sub(before))
}

fn micro_dollars(text: &str) -> Option<u64> {
    let dollars: f64 = text.trim().parse().ok()?;
    // `f64` also parses `NaN`, `inf` and negative numbers.
    let is_amount = (0.0..=1e9).contains(&dollars);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an amount within these bounds fits"
    )]
    is_amount.then(|| (dollars * 1e6).round() as u64)
}

fn is_or_absent(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none() || wanted == found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_log::AttemptRow;

    fn row() -> CallRow {
        CallRow {
            arrived: 1_000,
            total_ms: 500,
            tenant: Some("acme".to_owned()),
            key_id: Some("k1".to_owned()),
            requested_model: Some("fast".to_owned()),
            sent_model: Some("large".to_owned()),
            provider: Some("second".to_owned()),
            attempts: vec![AttemptRow {
                provider: "first".to_owned(),
                model: "small".to_owned(),
                ..AttemptRow::default()
            }],
            outcome: "timeout".to_owned(),
            session: Some("s1".to_owned()),
            cost: Some(70),
            ..CallRow::default()
        }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn each_filter_keeps_its_calls_and_leaves_out_others() {
        let none = CallFilter::default;
        let pairs = [
            (
                CallFilter { since: Some(1_500), ..none() },
                CallFilter { since: Some(1_501), ..none() },
            ),
            (
                CallFilter { until: Some(1_501), ..none() },
                CallFilter { until: Some(1_500), ..none() },
            ),
            (
                CallFilter { tenant: text("acme"), ..none() },
                CallFilter { tenant: text("x"), ..none() },
            ),
            (CallFilter { key: text("k1"), ..none() }, CallFilter { key: text("x"), ..none() }),
            (
                CallFilter { model: text("small"), ..none() },
                CallFilter { model: text("x"), ..none() },
            ),
            (
                CallFilter { model: text("fast"), ..none() },
                CallFilter { model: text("x"), ..none() },
            ),
            (
                CallFilter { provider: text("first"), ..none() },
                CallFilter { provider: text("x"), ..none() },
            ),
            (
                CallFilter { outcome: Some(OutcomeFilter::named("failed")), ..none() },
                CallFilter { outcome: Some(OutcomeFilter::named("success")), ..none() },
            ),
            (
                CallFilter { session: text("s1"), ..none() },
                CallFilter { session: text("x"), ..none() },
            ),
            (
                CallFilter { min_cost: Some(70), ..none() },
                CallFilter { min_cost: Some(71), ..none() },
            ),
            (
                CallFilter { min_latency: Some(500), ..none() },
                CallFilter { min_latency: Some(501), ..none() },
            ),
        ];
        for (kept, left_out) in pairs {
            assert!(kept.matches(&row()), "{kept:?}");
            assert!(!left_out.matches(&row()), "{left_out:?}");
        }
    }

    #[test]
    fn a_filter_is_read_from_parameters() {
        let parse = |parameters: &[(&str, &str)]| {
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            CallFilter::parse(&value, 1_000_000_000)
        };
        let all = parse(&[
            ("since", "15m"),
            ("until", "999"),
            ("tenant", "acme"),
            ("model", " "),
            ("outcome", "failed"),
            ("min_cost_usd", "0.5"),
            ("min_latency_ms", "20"),
        ]);
        let expected = CallFilter {
            since: Some(1_000_000_000 - 900_000),
            until: Some(999),
            tenant: text("acme"),
            outcome: Some(OutcomeFilter::Failed),
            min_cost: Some(500_000),
            min_latency: Some(20),
            ..CallFilter::default()
        };
        assert_eq!(all, Ok(expected));
        for (name, value) in [
            ("since", "yesterday"),
            ("until", "5x"),
            ("since", "é"),
            ("min_cost_usd", "-1"),
            ("min_latency_ms", "1.5"),
        ] {
            assert_eq!(parse(&[(name, value)]).unwrap_err().name, name);
        }
    }

    #[test]
    fn filters_combine() {
        let both =
            CallFilter { tenant: text("acme"), session: text("other"), ..CallFilter::default() };
        assert!(!both.matches(&row()));
    }
}
