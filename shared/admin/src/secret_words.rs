//! What looks like a key, in texts of which only a part is one.

use std::ops::Range;

/// How the keys of well-known services begin.
const KEY_STARTS: [&str; 13] = [
    "sk-", "sk_", "gsk_", "AIza", "AKIA", "xai-", "pplx-", "hf_", "nvapi-", "ghp_", "r8_", "lg-",
    "lga-",
];
/// How long a word has to be, in bytes, to be a key by its beginning alone.
const MIN_KEY_BYTES: usize = 8;
/// How long a word of letters and digits has to be, in bytes, to be a key.
const MIN_RANDOM_BYTES: usize = 16;

/// Whether a word is the key of a well-known service.
pub(crate) fn is_key(word: &str) -> bool {
    MIN_KEY_BYTES <= word.len() && KEY_STARTS.iter().any(|start| word.starts_with(start))
}

/// The parts of a secret with variables in it that are secrets themselves: what looks like a key, the
/// password of a URL, and the values in its query. Bytes of the text as it was written.
pub(crate) fn secret_parts(written: &str) -> Vec<Range<usize>> {
    let mut parts = vec![];
    let mut start = 0;
    let mut rest = written;
    loop {
        let (before, after) = match rest.split_once("${") {
            Some((before, after)) => (before, after.split_once('}')),
            None => (rest, None),
        };
        for (at, word) in words(before) {
            let context = written.get(..start + at).unwrap_or_default();
            if is_key(word) || is_random(word) || is_named_secret(context, written) {
                parts.push(start + at..start + at + word.len());
            }
        }
        let Some((_, after)) = after else { return parts };
        start = written.len() - after.len();
        rest = after;
    }
}

/// The words of a text, and where each begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_inside = |it: char| it.is_ascii_alphanumeric() || "-_.~%+".contains(it);
    let words = text.split(move |it: char| !is_inside(it)).filter(|word| !word.is_empty());
    // A part of the text begins as many bytes behind it as there are between the two.
    words.map(move |word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

/// Whether a word has letters and digits, and more of them than names do.
fn is_random(word: &str) -> bool {
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    MIN_RANDOM_BYTES <= word.len()
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !word.contains('.')
}

/// Whether what follows is the password of a URL, or a value in its query.
fn is_named_secret(before: &str, written: &str) -> bool {
    let Some((_, behind)) = before.split_once("://") else { return false };
    let (_, address) = written.split_once("://").unwrap_or_default();
    if let Some((_, query)) = behind.split_once('?') {
        return query.rsplit('&').next().is_some_and(|pair| pair.contains('='));
    }
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    let credentials = authority.rsplit_once('@').map_or("", |(credentials, _)| credentials);
    behind.len() < credentials.len() && behind.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_variable_is_shown_unless_it_looks_like_a_key() {
        for (written, secrets) in [
            ("\"Bearer ${ORG}\"", vec![]),
            ("http://user:${PASSWORD}@proxy.example:3128", vec![]),
            ("http://user:hunter2${END}@proxy.example:3128", vec!["hunter2"]),
            ("http://${USER}:hunter2@proxy.example:3128", vec!["hunter2"]),
            ("https://hooks.example.com/T0123/B0456/${TOKEN}", vec![]),
            ("https://${HOST}/x?team=a1&token=abc", vec!["a1", "abc"]),
            ("sk-proj-01234-${END}", vec!["sk-proj-01234-"]),
            ("${START}/abcdefgh01234567", vec!["abcdefgh01234567"]),
        ] {
            let found: Vec<&str> =
                secret_parts(written).into_iter().map(|it| written.get(it).unwrap()).collect();
            assert_eq!(found, secrets, "{written}");
        }
    }
}
