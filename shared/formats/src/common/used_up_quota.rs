//! Quotas of a day and spent credit, as opposed to rate limits: they last for hours.
//!
//! Sources: OpenAI's `insufficient_quota` and `RPD`, Groq's `TPD`, Gemini's
//! `GenerateRequestsPerDayPerProjectPerModel-FreeTier`, OpenRouter's `free-models-per-day` and 402,
//! Anthropic's "credit balance is too low", DeepSeek's 402 "Insufficient Balance"; seen in 2026-11.

use canonical::Quota;

/// Codes of accounts without credit.
const CREDIT_CODES: &[&str] =
    &["insufficient_quota", "billing_hard_limit_reached", "billing_error", "insufficient_credits"];
/// Phrases about accounts without credit, in lower case.
const CREDIT_WORDS: &[&str] =
    &["credit balance is too low", "insufficient credit", "insufficient balance", "out of credits"];
/// Words for a quota of a day, in lower case. Names of quotas are written without spaces.
const DAY_WORDS: &[&str] =
    &["per day", "per-day", "perday", "per_day", "(rpd)", "(tpd)", "daily limit", "daily quota"];

/// Which quota is used up, if it is one of those. `details` are what the provider adds to its message.
pub(crate) fn used_up(
    status: u16,
    codes: &[String],
    message: &str,
    details: &str,
) -> Option<Quota> {
    let (message, details) = (message.to_ascii_lowercase(), details.to_ascii_lowercase());
    let has_words = |words: &[&str]| words.iter().any(|it| message.contains(it));
    let has_code = codes.iter().any(|it| CREDIT_CODES.contains(&it.to_ascii_lowercase().as_str()));
    // Credit comes before the quota of a day: OpenAI's `insufficient_quota` is a 429 too, and does
    // not end at midnight.
    if status == 402 || has_code || has_words(CREDIT_WORDS) {
        return Some(Quota::Credit);
    }
    let is_limit = matches!(status, 400 | 403 | 413 | 429);
    // Gemini names the quota only in its details.
    let is_daily = has_words(DAY_WORDS) || DAY_WORDS.iter().any(|it| details.contains(it));
    if is_limit && is_daily { Some(Quota::Day) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_of_a_day_is_no_rate_limit() {
        let of = |message: &str, details: &str| used_up(429, &[], message, details);
        for message in [
            "Rate limit reached for gpt-4o on requests per day (RPD): Limit 200, Used 200.",
            "Rate limit reached for model `x` on tokens per day (TPD): Limit 100000.",
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock more.",
        ] {
            assert_eq!(of(message, ""), Some(Quota::Day), "{message}");
        }
        let gemini = r#"[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]"#;
        assert_eq!(
            of("You exceeded your current quota, please check billing", gemini),
            Some(Quota::Day)
        );
        let minute = r#"[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]"#;
        assert_eq!(of("You exceeded your current quota, please check billing", minute), None);
        assert_eq!(of("Rate limit reached on requests per min (RPM): Limit 3", ""), None);
    }

    #[test]
    fn spent_credit_shows_in_status_code_and_words() {
        let codes = ["insufficient_quota".to_owned()];
        assert_eq!(
            used_up(429, &codes, "You exceeded your current quota", ""),
            Some(Quota::Credit)
        );
        assert_eq!(used_up(402, &[], "no", ""), Some(Quota::Credit));
        let anthropic = "Your credit balance is too low to access the Anthropic API.";
        assert_eq!(used_up(400, &[], anthropic, ""), Some(Quota::Credit));
        assert_eq!(used_up(500, &[], "twice per day", ""), None);
    }
}
