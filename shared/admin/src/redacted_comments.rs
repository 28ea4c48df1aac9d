//! Secrets in the comments of a configuration, such as keys that an operator has commented out.

use storage::Secret;

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
/// How the keys of well-known services begin.
const KEY_STARTS: [&str; 13] = [
    "sk-", "sk_", "gsk_", "AIza", "AKIA", "xai-", "pplx-", "hf_", "nvapi-", "ghp_", "r8_", "lg-",
    "lga-",
];
/// How long a word has to be, in bytes, to be a key by its beginning alone.
const MIN_KEY_BYTES: usize = 8;

/// Puts a variable in place of each secret in a comment. `free` gives a name that no variable has.
pub(crate) fn hide_comments(
    text: &str,
    free: &dyn Fn(&String) -> String,
) -> (String, Vec<(String, Secret)>) {
    let mut secrets: Vec<(String, Secret)> = vec![];
    let mut hidden = String::with_capacity(text.len());
    // Whether the comment above ended with the key of a list of secrets.
    let mut is_list = false;
    for line in text.split_inclusive('\n') {
        let Some(at) = comment_start(line) else {
            (is_list, hidden) = (false, hidden + line);
            continue;
        };
        let (before, comment) = line.split_at(at);
        let found = secrets_of(comment, is_list);
        is_list = goes_on(comment, is_list);
        let mut comment = comment.to_owned();
        for secret in found {
            let known = secrets.iter().find(|(_, known)| known.expose() == secret);
            let name = known.map(|(name, _)| name.clone()).unwrap_or_else(|| {
                let name = free(&format!("HIDDEN_{}", secrets.len() + 1));
                secrets.push((name.clone(), Secret::new(secret.as_str())));
                name
            });
            comment = put_in_place(&comment, &secret, &format!("${{{name}}}"));
        }
        hidden.push_str(before);
        hidden.push_str(&comment);
    }
    (hidden, secrets)
}

/// Where the comment of a line begins: at a `#` that stands first, or behind a blank and outside of
/// quotes.
fn comment_start(line: &str) -> Option<usize> {
    let (mut quote, mut last) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '#') if last.is_whitespace() => return Some(at),
            // Only where a scalar begins: other quotes are apostrophes.
            (None, '"' | '\'') if last.is_whitespace() || "[{,:".contains(last) => {
                quote = Some(letter);
            }
            (None, _) => {}
        }
        last = letter;
    }
    None
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
    let is_key = |word: &&str| {
        MIN_KEY_BYTES <= word.len() && KEY_STARTS.iter().any(|start| word.starts_with(start))
    };
    found.extend(words.filter(is_key).map(str::to_owned));
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

/// A comment with a variable in place of a value, and of the quotes around it.
fn put_in_place(comment: &str, value: &str, variable: &str) -> String {
    let mut changed = String::with_capacity(comment.len());
    let mut rest = comment;
    while let Some((before, after)) = rest.split_once(value) {
        changed.push_str(before);
        let last = changed.chars().next_back();
        let next = after.chars().next();
        // A short value is part of many words.
        if last.is_some_and(is_of_word) || next.is_some_and(is_of_word) {
            changed.push_str(value);
            rest = after;
            continue;
        }
        let quote = last.filter(|it| *it == '"' || *it == '\'').filter(|_| last == next);
        if quote.is_some() {
            changed.pop();
        }
        changed.push_str(variable);
        rest = quote.and_then(|it| after.strip_prefix(it)).unwrap_or(after);
    }
    changed.push_str(rest);
    changed
}

fn is_of_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> (String, Vec<String>) {
        let (text, secrets) = hide_comments(text, &String::clone);
        (text, secrets.into_iter().map(|(_, secret)| secret.expose().to_owned()).collect())
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
            ("# it was sk-0123456789, once\n", vec!["sk-0123456789"]),
        ] {
            let (shown, mut found) = hidden(text);
            found.sort();
            assert_eq!(found, wanted, "{text}");
            assert_eq!(hidden(&shown).1, Vec::<String>::new(), "{shown}");
        }
    }

    #[test]
    fn other_comments_and_texts_stay() {
        for text in [
            "# The key of clients: see the vault.\n",
            "# api_key: ${OLD}\n",
            "model: 'a # password: x'\n",
            "url: http://h/#api_key:x\n",
            "# gpt-4o-mini-2024-07-18 and claude-3-5-sonnet-20241022\n",
        ] {
            assert_eq!(hidden(text), (text.to_owned(), vec![]), "{text}");
        }
    }
}
