//! What a provider says, without what a client must not see.
//!
//! Providers quote keys, accounts and URLs in their messages. A client gets the sentence only.

use std::borrow::Cow;

/// How much of a message is passed on, in characters.
const LONGEST: usize = 500;

/// What stands where something was taken out.
const MASK: &str = "[removed]";

/// Starts of keys and account names that the large providers hand out.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "gsk_",
    "xai-",
    "pplx-",
    "nvapi-",
    "csk-",
    "tgp_",
    "fw_",
    "key-",
    "key_",
    "AIza",
    "AQ.",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "hf_",
    "org-",
    "org_",
    "proj_",
    "proj-",
    "acct_",
    "user-",
    "AKIA",
    "ASIA",
    "arn:aws",
    "eyJ",
    "glc_",
    "co_",
];

/// A sentence fit for a client: no keys, accounts or URLs with credentials, and not too long.
pub fn redact(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LONGEST * 4));
    let mut left = LONGEST;
    for word in
        message.split_inclusive(|it: char| it.is_whitespace() || "\"'`()[]<>,;".contains(it))
    {
        let end = word
            .trim_end_matches(|it: char| it.is_whitespace() || "\"'`()[]<>,;".contains(it))
            .len();
        let (text, space) = word.split_at(end);
        let shown = if is_telling(text) { masked(text) } else { Cow::Borrowed(text) };
        let length = shown.chars().count() + space.chars().count();
        if left < length {
            out.push('…');
            return out;
        }
        left -= length;
        out.push_str(&shown);
        out.extend(space.chars().map(|it| if it.is_control() { ' ' } else { it }));
    }
    out
}

/// What stands for a telling word; a sentence keeps its end.
fn masked(word: &str) -> Cow<'static, str> {
    let end = word.chars().next_back().filter(|it| ".:!?".contains(*it));
    end.map_or(Cow::Borrowed(MASK), |it| format!("{MASK}{it}").into())
}

/// The same text with every given secret taken out.
pub fn without_secrets<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    secrets
        .into_iter()
        .filter(|it| 4 <= it.len())
        .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

/// Whether a word looks like a key, an account, an address or a URL that carries credentials.
fn is_telling(word: &str) -> bool {
    let bare = word.trim_matches(|it: char| ".:!?*{}=".contains(it));
    let value = bare.rsplit(['=', ':']).next().unwrap_or(bare);
    has_key_prefix(bare)
        || has_key_prefix(value)
        || looks_random(value)
        || is_account_number(value)
        || is_uuid(value)
        || is_email(bare)
        || is_url_with_credentials(bare)
}

fn has_key_prefix(word: &str) -> bool {
    PREFIXES.iter().any(|it| word.strip_prefix(it).is_some_and(|rest| 4 <= rest.len()))
}

/// Long, with digits and letters, and no structure of words: a key of a make that we do not know.
fn looks_random(word: &str) -> bool {
    let longest = word.split(['-', '_', '.', '/']).map(str::len).max().unwrap_or(0);
    20 <= longest
        && word.chars().any(|it| it.is_ascii_digit())
        && word.chars().any(|it| it.is_ascii_alphabetic())
        && !word.starts_with("http")
        || word.contains("****")
}

fn is_account_number(word: &str) -> bool {
    word.len() == 12 && word.bytes().all(|it| it.is_ascii_digit())
}

/// Teams and projects are named so.
fn is_uuid(word: &str) -> bool {
    let lengths = word.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && word.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}

fn is_email(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

fn is_url_with_credentials(word: &str) -> bool {
    word.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let query = rest.split_once('?').map_or("", |it| it.1).to_ascii_lowercase();
        authority.contains('@')
            || ["key=", "token=", "sig", "secret"].iter().any(|it| query.contains(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_or_an_account_is_removed() {
        for telling in [
            "sk-proj-abcdef123456",
            "sk-ab****************wxyz",
            "gsk_abcDEF123456",
            "AIzaSyA1234567890",
            "org-AbCdEf123456",
            "123456789012",
            "arn:aws:iam::123456789012:role/x",
            "https://user:pass@host.example/v1",
            "https://host.example/v1?key=abc",
            "someone@example.com",
            "api_key=0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
            "0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e5f6",
        ] {
            let out = redact(&format!("Incorrect key provided: {telling}. See the docs."));
            assert!(out.contains(MASK) && !out.contains(telling), "{out}");
            assert_eq!(out, format!("Incorrect key provided: {MASK}. See the docs."));
        }
    }

    #[test]
    fn a_plain_sentence_stays_as_it_is() {
        for plain in [
            "Rate limit reached for gpt-4o-mini in 20s (limit 30000, used 29999).",
            "The model `meta-llama/llama-4-maverick-17b-128e-instruct` does not exist.",
            "See https://platform.openai.com/docs/guides/rate-limits for details.",
            "Invalid value for 'messages[0].content': expected a string.",
        ] {
            assert_eq!(redact(plain), plain);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(redact(&"word ".repeat(500)).chars().count(), LONGEST + 1);
        assert!(redact(&"€".repeat(600)).ends_with('…'));
    }

    #[test]
    fn a_known_secret_is_removed_whatever_it_looks_like() {
        assert_eq!(without_secrets("key hunter2!", ["hunter2"]), format!("key {MASK}!"));
    }
}
