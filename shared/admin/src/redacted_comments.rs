//! Secrets in the comments of a configuration, such as keys that an operator has commented out.

use std::ops::Range;

use crate::secret_words::is_key;

/// The keys whose values are secrets.
const SECRET_KEYS: [&str; 14] = [
    "api_key",
    "api_keys",
    "api-key",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "client_secret",
    "authorization",
    "password",
    "secret",
    "x-api-key",
    "x-goog-api-key",
    "webhook_secret",
    "provider_api_key",
];

/// Where the secrets in the comments of a text stand. `scalars` are the places of its scalars, in order.
pub(crate) fn comment_secrets(text: &str, scalars: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = vec![];
    // Whether the comment above ended with the key of a list of secrets.
    let mut is_list = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (at, comment) = match comment_start(text, start..start + line.len(), scalars) {
            Some(at) => (at, text.get(at..start + line.len()).unwrap_or_default()),
            None => (start, ""),
        };
        start += line.len();

        let mut taken: Vec<Range<usize>> = vec![];
        for secret in secrets_of(comment, is_list) {
            let found = occurrences(comment, &secret);
            // A part of what is hidden already is hidden.
            let free = |place: &Range<usize>| {
                !taken.iter().any(|it| place.start < it.end && it.start < place.end)
            };
            let free: Vec<Range<usize>> = found.into_iter().filter(free).collect();
            taken.extend(free);
        }
        places.extend(taken.into_iter().map(|it| at + it.start..at + it.end));
        is_list = goes_on(comment, is_list);
    }
    places
}

/// Where the comment of a line begins: at a `#` that stands first or behind a blank, and in no scalar.
fn comment_start(text: &str, line: Range<usize>, scalars: &[Range<usize>]) -> Option<usize> {
    let content = text.get(line.clone()).unwrap_or_default();
    let marks = content.match_indices('#').map(|(at, _)| at);
    let begins = |at: &usize| {
        let before = content.get(..*at).unwrap_or_default().chars().next_back();
        before.is_none_or(char::is_whitespace) && !is_in_scalar(text, line.start + at, scalars)
    };
    marks.into_iter().find(begins).map(|at| line.start + at)
}

fn is_in_scalar(text: &str, at: usize, scalars: &[Range<usize>]) -> bool {
    let before = scalars.partition_point(|scalar| scalar.start <= at);
    let Some(scalar) = before.checked_sub(1).and_then(|last| scalars.get(last)) else {
        return false;
    };
    // The first line of a block is its head, which may have a comment.
    let until = text.get(scalar.start..at).unwrap_or_default();
    let is_head = until.starts_with(['|', '>']) && !until.contains('\n');
    at < scalar.end && !is_head
}

/// Where a value stands in a comment, and is no part of a word.
fn occurrences(comment: &str, value: &str) -> Vec<Range<usize>> {
    let places = comment.match_indices(value).map(|(at, _)| at..at + value.len());
    let is_alone = |place: &Range<usize>| {
        let before = comment.get(..place.start).and_then(|it| it.chars().next_back());
        let after = comment.get(place.end..).and_then(|it| it.chars().next());
        !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
    };
    places.filter(is_alone).collect()
}

/// The values in a comment that are secrets.
fn secrets_of(comment: &str, is_list: bool) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    if let Some((_, value)) = secret_entry(comment) {
        found.extend(scalars(value));
    } else if let Some(item) = comment.trim_start_matches('#').trim().strip_prefix("- ")
        && is_list
    {
        found.extend(scalars(item));
    }
    let words = comment.split(|it: char| it.is_whitespace() || "\"'[]{},:=`".contains(it));
    found.extend(words.filter(|word| is_key(word)).map(str::to_owned));
    // The longest first, or a part of a secret would be replaced and the rest stay.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

/// Whether the comment below goes on with a list of secrets.
fn goes_on(comment: &str, is_list: bool) -> bool {
    let is_item = comment.trim_start_matches('#').trim().starts_with("- ");
    match secret_entry(comment) {
        Some((_, value)) => value.trim().is_empty(),
        None => is_list && is_item,
    }
}

/// The key of a secret in a comment, and what stands behind it.
fn secret_entry(comment: &str) -> Option<(&str, &str)> {
    let entries = comment.match_indices(':').map(|(at, _)| comment.split_at(at));
    let mut named = entries.map(|(before, value)| {
        let start = before.trim_end_matches(['"', '\'']);
        let key = start.rsplit(|it: char| !is_of_word(it)).next().unwrap_or_default();
        (key, value.trim_start_matches(':'))
    });
    named.find(|(key, _)| SECRET_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)))
}

/// The scalars at the beginning of a value: one, or those of a list. Variables are none.
fn scalars(value: &str) -> Vec<String> {
    let value = value.trim();
    let parts: Vec<&str> = match value.strip_prefix('[') {
        Some(list) => list.split(']').next().unwrap_or_default().split(',').collect(),
        None => vec![value],
    };
    let scalar = |part: &str| {
        let part = part.trim();
        let quoted = ['"', '\''].into_iter().find_map(|it| Some((it, part.strip_prefix(it)?)));
        match quoted {
            Some((quote, rest)) => rest.split(quote).next().unwrap_or_default().to_owned(),
            // A blank ends it, or a sign of the one-line style.
            None => part.split([' ', ',', '}']).next().unwrap_or_default().to_owned(),
        }
    };
    let scalars = parts.into_iter().map(scalar);
    scalars.filter(|it| !it.is_empty() && !it.starts_with("${")).collect()
}

fn is_of_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '-'
}

#[cfg(test)]
mod tests {
    use config::yaml_tree::{YamlEventKind, events};

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let scalars: Vec<Range<usize>> = events(text)
            .into_iter()
            .filter(|it| matches!(it.kind, YamlEventKind::Scalar { .. }))
            .map(|it| it.bytes)
            .collect();
        comment_secrets(text, &scalars).into_iter().map(|it| text.get(it).unwrap()).collect()
    }

    #[test]
    fn the_keys_in_comments_are_found() {
        for (text, wanted) in [
            ("# api_key: sk-old\n", vec!["sk-old"]),
            ("a: 1 # password: \"hunter 2\"\n", vec!["hunter 2"]),
            ("  # { name: x, api_key: abc, region: eu }\n", vec!["abc"]),
            ("# api_keys: [one, 'two']\n", vec!["one", "two"]),
            ("# api_keys:\n#   - one\n#   - two\n# done\n", vec!["one", "two"]),
            ("# password: a, once\n", vec!["a"]),
            ("a: | # api_key: sk-old\n  b\n", vec!["sk-old"]),
            ("# it was sk-0123456789, once\n", vec!["sk-0123456789"]),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn other_comments_and_texts_stay() {
        for text in [
            "# The key of clients: see the vault.\n",
            "# api_key: ${OLD}\n",
            "model: 'a # password: x'\n",
            "url: http://h/#api_key:x\n",
            "a: |\n  # api_key: x\n\n  # api_key: y\n",
            "a: 'one\n  # api_key: x'\n",
            "# api_key: \"${HIDDEN_1}\"\n",
            "# gpt-4o-mini-2024-07-18 and claude-3-5-sonnet-20241022\n",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
