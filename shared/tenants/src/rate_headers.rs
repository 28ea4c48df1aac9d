//! Rate-limit headers, in our own names and in those of OpenAI and Anthropic.
//!
//! Ours give `X-RateLimit-Reset` in seconds since 1970; OpenAI's give durations such as `6m0s`;
//! Anthropic's give RFC 3339 times.

use crate::{limits::LimitSource, quota::Quota, window::rfc3339};

/// A header's name and value.
pub type Header = (&'static str, String);

/// `X-RateLimit-*`: the request window that has the smallest share left.
pub fn gateway_headers(quotas: &[Quota]) -> Vec<Header> {
    let Some(quota) = tightest(quotas, |source| source.counts_requests()) else { return vec![] };
    let mut headers = vec![
        ("X-RateLimit-Limit", quota.limit.to_string()),
        ("X-RateLimit-Remaining", quota.remaining().to_string()),
    ];
    headers.extend(quota.reset.map(|at| ("X-RateLimit-Reset", at.to_string())));
    headers
}

/// OpenAI's `x-ratelimit-*`, for requests and tokens.
pub fn openai_headers(quotas: &[Quota], now: u64) -> Vec<Header> {
    let requests = tightest(quotas, |source| source.counts_requests());
    let tokens = tightest(quotas, |source| {
        matches!(source, LimitSource::DailyInputTokens | LimitSource::DailyOutputTokens)
    });
    let group = |quota: Option<&Quota>, names: [&'static str; 3]| {
        let reset = |quota: &Quota| duration(quota.reset.unwrap_or(now).saturating_sub(now));
        let values = quota
            .map(|quota| [quota.limit.to_string(), quota.remaining().to_string(), reset(quota)]);
        names.into_iter().zip(values.into_iter().flatten()).collect::<Vec<_>>()
    };
    let mut headers = group(
        requests,
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
    );
    headers.extend(group(
        tokens,
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ));
    headers
}

/// Anthropic's `anthropic-ratelimit-*`, for requests, input tokens and output tokens.
pub fn anthropic_headers(quotas: &[Quota]) -> Vec<Header> {
    let only = |wanted| move |source: LimitSource| source == wanted;
    let groups = [
        (
            tightest(quotas, |source| source.counts_requests()),
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        ),
        (
            tightest(quotas, only(LimitSource::DailyInputTokens)),
            [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
        ),
        (
            tightest(quotas, only(LimitSource::DailyOutputTokens)),
            [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
        ),
    ];
    let headers = groups.into_iter().filter_map(|(quota, [limit, remaining, reset])| {
        let quota = quota?;
        Some([
            (limit, quota.limit.to_string()),
            (remaining, quota.remaining().to_string()),
            (reset, rfc3339(quota.reset?)),
        ])
    });
    headers.flatten().collect()
}

/// The limit of a kind that has the smallest share left.
fn tightest(quotas: &[Quota], is_meant: impl Fn(LimitSource) -> bool) -> Option<&Quota> {
    let meant = quotas.iter().filter(|quota| is_meant(quota.source));
    let share = |quota: &Quota| {
        // Scaled up before the division, for shares are less than one.
        let remaining = u128::from(quota.remaining()) << 32;
        remaining.checked_div(u128::from(quota.limit)).unwrap_or(0)
    };
    meant.min_by_key(|quota| share(quota))
}

/// A duration as OpenAI writes it: `17s`, `6m0s`, `1h0m5s`.
fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(source: LimitSource, limit: u64, used: u64, reset: u64) -> Quota {
        Quota { source, limit, used, held: 0, reset: Some(reset) }
    }

    fn quotas() -> Vec<Quota> {
        vec![
            quota(LimitSource::RequestsPerMinute, 60, 30, 1_060),
            quota(LimitSource::RequestsPerDay, 100, 90, 4_605),
            quota(LimitSource::DailyInputTokens, 1_000, 400, 4_605),
        ]
    }

    #[test]
    fn the_limit_with_the_smallest_share_left_is_shown() {
        assert_eq!(
            gateway_headers(&quotas()),
            [
                ("X-RateLimit-Limit", "100".to_owned()),
                ("X-RateLimit-Remaining", "10".to_owned()),
                ("X-RateLimit-Reset", "4605".to_owned())
            ]
        );
        assert!(gateway_headers(&[]).is_empty());
    }

    #[test]
    fn openai_counts_requests_and_tokens_and_resets_after_a_duration() {
        let headers = openai_headers(&quotas(), 1_000);
        assert!(headers.contains(&("x-ratelimit-reset-requests", "1h0m5s".to_owned())));
        assert!(headers.contains(&("x-ratelimit-remaining-tokens", "600".to_owned())));
        assert_eq!(headers.len(), 6);
        assert_eq!((duration(17), duration(360)), ("17s".to_owned(), "6m0s".to_owned()));
    }

    #[test]
    fn anthropic_resets_at_a_time() {
        let headers = anthropic_headers(&quotas());
        let reset = "1970-01-01T01:16:45Z".to_owned();
        assert!(headers.contains(&("anthropic-ratelimit-requests-reset", reset)));
        assert!(!headers.iter().any(|(name, _)| name.contains("output")));
    }
}
