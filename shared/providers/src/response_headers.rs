//! What the headers of a provider's response say: how long to wait, what a call consumed, its id
//! there.
//!
//! Sources: RFC 9110 section 10.2.3 for `Retry-After`; the vendors' pages on rate limits for
//! `retry-after-ms` (Azure, OpenAI) and `x-ratelimit-reset-*` (OpenAI, Groq: `6m0s`; Cerebras,
//! Together: seconds; OpenRouter: milliseconds since 1970). Bedrock reports the tokens of every
//! `InvokeModel` in `x-amzn-bedrock-*-token-count` (vercel/ai pull request 15973), and some of its
//! models report them nowhere else.

use std::time::{Duration, UNIX_EPOCH};

use canonical::Usage;
use http::{HeaderMap, HeaderName};

/// The longest wait that is obeyed. Azure's free tier asks for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the provider asks to be left alone, at `now` in milliseconds since 1970.
pub(crate) fn retry_after(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    // `retry-after-ms` is finer, and sent beside the other one.
    let millis = text("retry-after-ms").and_then(seconds).map(|it| it / 1000);
    let wait = millis
        .or_else(|| text("retry-after").and_then(|it| seconds(it).or_else(|| date(it, now))))
        .or_else(|| limit_reset(headers, now))
        .or_else(|| earliest_reset(headers, now))?;
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The time left until `at`, both in milliseconds since 1970, and no more than a day.
pub(crate) fn until(at: u64, now: u64) -> Duration {
    Duration::from_millis(at.saturating_sub(now)).min(MAX_RETRY_AFTER)
}

/// The usage of a call by its headers, for responses that do not report it themselves.
pub(crate) fn usage(headers: &HeaderMap) -> Option<Usage> {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let input = formats::bounded_tokens(Some(count("x-amzn-bedrock-input-token-count")?));
    let output = formats::bounded_tokens(count("x-amzn-bedrock-output-token-count"));
    Some(Usage { input, output, ..Usage::default() })
}

/// How long until the limits are free again that a request has used up, at `now` in milliseconds
/// since 1970. Anthropic's headers have dates: `anthropic-ratelimit-requests-reset`.
pub(crate) fn limit_reset(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let used_up = headers.iter().filter(|(_, value)| matches!(value.as_bytes(), b"0" | b"0.0"));
    let resets = used_up.filter_map(|(name, _)| {
        let name = name.as_str();
        let reset = if let Some(kind) = name.strip_prefix("x-ratelimit-remaining") {
            format!("x-ratelimit-reset{kind}")
        } else {
            let kind = name.strip_prefix("anthropic-ratelimit-")?.strip_suffix("-remaining")?;
            format!("anthropic-ratelimit-{kind}-reset")
        };
        let text = headers.get(reset)?.to_str().ok()?.trim();
        let wait = reset_in(text, now).filter(|wait| !wait.is_zero())?;
        Some(wait.min(MAX_RETRY_AFTER))
    });
    // All limits must be free again, the slowest included.
    resets.max()
}

/// The time left until a reset, in any of the forms that providers write.
fn reset_in(text: &str, now: u64) -> Option<Duration> {
    reset(text, now).or_else(|| {
        let at = formats::date(&format!("resets at {text}"))?;
        Some(Duration::from_millis(at.saturating_sub(now)))
    })
}

/// The soonest reset of all, which has to do where no limit is known to be used up.
fn earliest_reset(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let resets = headers.iter().filter_map(|(name, value)| {
        name.as_str().strip_prefix("x-ratelimit-reset")?;
        reset(value.to_str().ok()?.trim(), now).filter(|it| !it.is_zero())
    });
    resets.min()
}

/// A duration, seconds left, or a time since 1970 in seconds or milliseconds: the size shows which.
fn reset(text: &str, now: u64) -> Option<Duration> {
    let Some(number) = seconds(text) else {
        return formats::duration(text);
    };
    let until = |time: Duration| time.saturating_sub(Duration::from_millis(now));
    match number.as_secs() {
        1_000_000_000_000.. => Some(until(number / 1000)),
        1_000_000_000.. => Some(until(number)),
        _ => Some(number),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn date(text: &str, now: u64) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now)))
}

/// A provider's own name for a request: OpenAI's and most others' header, Anthropic's, AWS's and
/// Azure's.
const REQUEST_IDS: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("apim-request-id"),
];
/// The longest id that is passed on, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The provider's own name for a request, if it can be printed.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_IDS.into_iter().find_map(|it| headers.get(it))?.to_str().ok()?;
    let fits = !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES;
    if fits { Some(id.to_owned()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn waits(headers: &[(&'static str, &'static str)]) -> Option<u128> {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
        });
        retry_after(&headers.collect(), NOW).map(|it| it.as_millis())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(waits(&[("retry-after", "7")]), Some(7_000));
        assert_eq!(waits(&[("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")]), Some(30_000));
        assert_eq!(waits(&[("retry-after", "Tue, 14 Nov 2000 22:13:50 GMT")]), Some(0));
        assert_eq!(waits(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn milliseconds_come_first() {
        assert_eq!(waits(&[("retry-after-ms", "1500"), ("retry-after", "60")]), Some(1_500));
    }

    #[test]
    fn the_limit_that_is_used_up_decides() {
        let headers = [
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
        ];
        assert_eq!(waits(&headers), Some(360_000));
        let anthropic = [
            ("anthropic-ratelimit-tokens-remaining", "90"),
            ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:13:21Z"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:45Z"),
        ];
        assert_eq!(waits(&anthropic), Some(25_000));
        // They stand on every response, and say nothing while something remains.
        assert_eq!(waits(&anthropic[..2]), None);
    }

    #[test]
    fn a_success_may_use_up_a_limit() {
        let left = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let name = name.parse::<http::HeaderName>().unwrap();
                (name, value.parse::<http::HeaderValue>().unwrap())
            });
            limit_reset(&headers.collect(), NOW).map(|it| it.as_millis())
        };
        let openai = |remaining| {
            left(&[
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", "12s"),
            ])
        };
        assert_eq!(openai("0"), Some(12_000));
        assert_eq!(openai("1"), None);
        let anthropic = left(&[
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:50Z"),
        ]);
        assert_eq!(anthropic, Some(30_000));
        assert_eq!(left(&[("x-ratelimit-remaining-requests", "0")]), None);
    }

    #[test]
    fn a_reset_may_be_a_time() {
        assert_eq!(waits(&[("x-ratelimit-reset", "1700000005000")]), Some(5_000));
        assert_eq!(waits(&[("x-ratelimit-reset", "1700000005")]), Some(5_000));
        assert_eq!(waits(&[("x-ratelimit-reset-tokens-minute", "12.5")]), Some(12_500));
    }

    #[test]
    fn bedrock_counts_tokens_in_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(usage(&headers), None);
        headers.insert("x-amzn-bedrock-input-token-count", "42".parse().unwrap());
        assert_eq!(usage(&headers), Some(Usage { input: 42, ..Usage::default() }));
        headers.insert("x-amzn-bedrock-output-token-count", "7".parse().unwrap());
        assert_eq!(usage(&headers).map(|it| it.output), Some(7));
        headers.insert("x-amzn-bedrock-input-token-count", u64::MAX.to_string().parse().unwrap());
        assert!(usage(&headers).unwrap().all_input() < u64::from(u32::MAX) * 1_000);
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        assert_eq!(waits(&[("retry-after", "9999999")]), Some(86_400_000));
    }

    #[test]
    fn a_request_has_an_id_at_its_provider() {
        let id = |name: &'static str, value: &str| {
            request_id(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(id("x-request-id", "req_1").as_deref(), Some("req_1"));
        assert_eq!(id("request-id", "req_2").as_deref(), Some("req_2"));
        assert_eq!(id("x-amzn-requestid", "3").as_deref(), Some("3"));
        assert_eq!(id("x-request-id", &"x".repeat(129)), None);
        assert_eq!(id("x-other-id", "req_1"), None);
    }
}
