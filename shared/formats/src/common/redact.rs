//! Redaction of provider texts: clients must not see keys, accounts and addresses.
//!
//! Providers quote keys, accounts and URLs in their messages. A client gets the sentence only.

use std::{borrow::Cow, net::IpAddr};

/// How much of a message is passed on, in characters.
const MAX_LENGTH: usize = 500;

/// The text in place of something redacted.
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
    "AIza",
    "AQ.",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "hf_",
    "acct_",
    "AKIA",
    "ASIA",
    "arn:aws",
    "eyJ",
    "glc_",
];

/// Starts that compound words have, too, such as `user-provided`.
const WORD_PREFIXES: &[&str] = &["key-", "key_", "org-", "org_", "proj-", "proj_", "user-", "co_"];

/// How a stack trace begins, in the languages that providers' servers are written in.
const STACK_TRACES: &[&str] = &[
    "Traceback (most recent call last)",
    "\n    at ",
    "\n  File \"",
    "\tat ",
    "goroutine ",
    "stack backtrace:",
];

/// Endings of host names that resolve within a provider's network only (RFC 6762 and 9476, and the
/// domains of Kubernetes and of the clouds).
const PRIVATE_HOSTS: &[&str] = &[
    ".internal",
    ".local",
    ".svc",
    ".cluster.local",
    ".lan",
    ".corp",
    ".intranet",
    ".localdomain",
];

/// Folders at which paths on a server begin.
const FOLDERS: &[&str] = &[
    "/app/",
    "/bin/",
    "/data/",
    "/etc/",
    "/home/",
    "/mnt/",
    "/opt/",
    "/private/",
    "/root/",
    "/srv/",
    "/tmp/",
    "/usr/",
    "/var/",
    "/workspace/",
    "/Users/",
];

/// A sentence fit for a client: no keys, accounts, internal hosts, file paths, stack traces or URLs
/// with credentials, and not too long.
pub fn redact(message: &str) -> String {
    // Cut before the words are looked at: a stack trace is full of paths, and what is left of it
    // says nothing.
    let message = without_stack_trace(message);
    let mut out = String::with_capacity(message.len().min(MAX_LENGTH * 4));
    let mut left = MAX_LENGTH;
    for word in
        message.split_inclusive(|it: char| it.is_whitespace() || "\"'`()[]<>,;".contains(it))
    {
        let end = word
            .trim_end_matches(|it: char| it.is_whitespace() || "\"'`()[]<>,;".contains(it))
            .len();
        let (text, space) = word.split_at(end);
        let shown = if is_sensitive(text) { masked(text) } else { Cow::Borrowed(text) };
        let length = shown.chars().count() + space.chars().count();
        if left < length {
            out.push('…');
            return out;
        }
        left -= length;
        out.push_str(&shown);
        // Line breaks would forge lines of a log and break a header.
        out.extend(space.chars().map(|it| if it.is_control() { ' ' } else { it }));
    }
    out
}

/// The message up to the stack trace that it may hold.
fn without_stack_trace(message: &str) -> &str {
    let starts = STACK_TRACES.iter().filter_map(|it| message.find(it));
    let end = starts.min().unwrap_or(message.len());
    message.get(..end).unwrap_or(message).trim_end()
}

/// The text in place of a sensitive word; a sentence keeps its end.
fn masked(word: &str) -> Cow<'static, str> {
    let end = word.chars().next_back().filter(|it| ".:!?".contains(*it));
    end.map_or(Cow::Borrowed(MASK), |it| format!("{MASK}{it}").into())
}

/// A text with every given secret taken out.
pub fn without_secrets<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    secrets
        .into_iter()
        // A secret of three letters would be found in every sentence.
        .filter(|it| 4 <= it.len())
        .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

/// Whether a word looks like a key, an account, an address, a path, an internal host or a URL that
/// carries credentials.
fn is_sensitive(word: &str) -> bool {
    let bare = word.trim_matches(|it: char| ".:!?*{}=".contains(it));
    // `api_key=sk-…` and `key:sk-…` are one word each.
    let value = bare.rsplit(['=', ':']).next().unwrap_or(bare);
    has_key_prefix(bare)
        || has_key_prefix(value)
        || looks_random(value)
        || is_account_number(value)
        || is_uuid(value)
        || is_email(bare)
        || is_url_with_credentials(bare)
        || is_private_host(bare)
        || is_path(bare)
}

/// Whether a word names a host, or a URL or port there, that only a provider's own network knows.
fn is_private_host(word: &str) -> bool {
    let rest = word.split_once("://").map_or(word, |it| it.1);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if let Ok(address) = authority.parse::<IpAddr>() {
        return is_private_address(address);
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_private_address(address);
    }
    // Also in the middle of a name, as in `model.svc.cluster.local`.
    host == "localhost"
        || PRIVATE_HOSTS.iter().any(|it| host.ends_with(it) || host.contains(&format!("{it}.")))
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            // 100.64.0.0/10 is shared within a carrier's or cloud's network (RFC 6598).
            let [first, second, ..] = it.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            it.is_private() || it.is_loopback() || it.is_link_local() || is_shared
        }
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    }
}

fn is_path(word: &str) -> bool {
    let is_windows =
        matches!(word.as_bytes(), [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic());
    is_windows || FOLDERS.iter().any(|it| word.starts_with(it))
}

fn has_key_prefix(word: &str) -> bool {
    // With four letters behind it, because sentences name the prefix itself: *keys begin with
    // `sk-`*.
    let has = |prefixes: &[&str], is_key: &dyn Fn(&str) -> bool| {
        prefixes.iter().any(|it| word.strip_prefix(it).is_some_and(is_key))
    };
    let is_part_of_word = |it: char| it.is_ascii_lowercase() || matches!(it, '-' | '_' | '/');
    has(PREFIXES, &|rest| 4 <= rest.len())
        || has(WORD_PREFIXES, &|rest| 4 <= rest.len() && !rest.chars().all(is_part_of_word))
}

/// Long, with digits and letters, and no structure of words: a key of a make that we do not know.
fn looks_random(word: &str) -> bool {
    let part_length = word.split(['-', '_', '.', '/']).map(str::len).max().unwrap_or(0);
    20 <= part_length
        && word.chars().any(|it| it.is_ascii_digit())
        && word.chars().any(|it| it.is_ascii_alphabetic())
        // Addresses of documentation have long parts with digits, and help a client most of all.
        && !word.starts_with("http")
        || word.contains("****")
}

fn is_account_number(word: &str) -> bool {
    // AWS account ids have twelve digits.
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
    fn what_only_a_providers_network_knows_is_removed() {
        for internal in [
            "inference-7.prod.internal",
            "http://vllm.models.svc.cluster.local:8000/v1",
            "router.local:9000",
            "10.12.0.7:8000",
            "http://192.168.1.5/v1",
            "[fd00::1]:80",
            "127.0.0.1",
            "localhost:11434",
            "/usr/lib/python3.12/site-packages/vllm/engine.py",
            "C:\\Users\\me\\model.gguf",
        ] {
            let out = redact(&format!("Cannot reach {internal} now"));
            assert!(
                out.contains(MASK) && !out.contains(internal.trim_matches(['[', ']'])),
                "{out}"
            );
        }
        let traced = "boom\nTraceback (most recent call last):\n  File \"/app/x.py\", line 3";
        assert_eq!(redact(traced), "boom");
        assert_eq!(
            redact("TypeError: x is undefined\n    at f (/app/a.js:1:2)"),
            "TypeError: x is undefined"
        );
    }

    #[test]
    fn a_plain_sentence_stays_as_it_is() {
        for plain in [
            "Rate limit reached for gpt-4o-mini in 20s (limit 30000, used 29999).",
            "The model `meta-llama/llama-4-maverick-17b-128e-instruct` does not exist.",
            "See https://platform.openai.com/docs/guides/rate-limits for details.",
            "Invalid value for 'messages[0].content': expected a string.",
            "POST /v1/chat/completions is not allowed; use /v1/responses.",
            "Version 1.2.3 of api.example.com answered 8.8.8.8.",
            "The user-provided schema and the key-value store need org-wide consent of co_authors.",
        ] {
            assert_eq!(redact(plain), plain);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(redact(&"word ".repeat(500)).chars().count(), MAX_LENGTH + 1);
        assert!(redact(&"€".repeat(600)).ends_with('…'));
    }

    #[test]
    fn a_known_secret_is_removed_whatever_it_looks_like() {
        assert_eq!(without_secrets("key hunter2!", ["hunter2"]), format!("key {MASK}!"));
    }
}
