//! The words that went: each names the field's word that took its place.
//!
//! Identifiers are looked at segment by segment (`read_answer` is `read` and `answer`), and so are
//! the texts of logs and errors. A word that a vendor's wire uses stays where that wire is spoken.

use super::{
    complains, nothing,
    tree::{self, File},
};

/// Segments of identifiers that went, and what is written instead.
const RETIRED: &[(&str, &str)] = &[
    ("asked", "requested"),
    ("asker", "client"),
    ("beat", "keep_alive"),
    ("beats", "keep_alives"),
    ("dearest", "max"),
    ("dialect", "format"),
    ("film", "video"),
    ("gate", "authenticate or authorize"),
    ("heartbeat", "keep_alive"),
    ("heartbeats", "keep_alives"),
    ("inexpressible", "unsupported"),
    ("longest", "max"),
    ("meaning", "canonical"),
    ("mouth", "api"),
    ("mouths", "apis"),
    ("patience", "timeout"),
    ("picture", "image"),
    ("pictures", "images"),
    ("piece", "delta"),
    ("pieces", "deltas"),
    ("proof", "signature"),
    ("proofs", "signatures"),
    ("replies", "responses"),
    ("reply", "response"),
    ("resting", "cooling_down"),
    ("rests", "cooldowns"),
    ("said", "decoded"),
    ("sound", "audio"),
    ("speech", "api"),
    ("speaks", "apis"),
    ("talk", "conversation"),
    ("thought", "reasoning"),
    ("thoughts", "reasoning"),
    ("told", "encoded"),
    ("tries", "attempts"),
    ("understand", "decode"),
    ("understood", "decoded"),
    ("unproven", "invalid_signature"),
    ("unsaid", "dropped"),
    ("usual", "default"),
    ("wordless", "unsupported"),
];

/// Segments that went from what is shipped. Tests and the testkit may ask a question and inject a fault.
const RETIRED_IN_PRODUCT: &[(&str, &str)] = &[
    ("answer", "response"),
    ("answers", "responses"),
    ("fault", "error"),
    ("faults", "errors"),
    ("question", "request"),
    ("questions", "requests"),
];

/// First segments of constants that went: a bound begins with `MAX` or `MIN`.
const RETIRED_IN_CONSTANTS: &[(&str, &str)] =
    &[("MOST", "MAX"), ("LEAST", "MIN"), ("FEWEST", "MIN"), ("LARGEST", "MAX")];

/// Phrases that no log line and no error says any more.
const RETIRED_PHRASES: &[(&str, &str)] = &[
    (" rests", "cools down"),
    ("answered whole", "returned a whole response"),
    ("its last word", "the end of the stream"),
    ("who rests", "cooldowns"),
    ("a rest could not", "failed to publish a cooldown"),
    ("body was cut", "ended early"),
];

/// Where a word stays: the start of a path, the word, and why.
const KEPT: &[(&str, &str, &str)] = &[
    ("shared/testkit/tests/tidy/words.rs", "", "this list itself"),
    ("shared/formats/src/google/", "thought", "Gemini's own name on the wire"),
    ("shared/formats/src/google/", "thoughts", "Gemini's own name on the wire"),
    ("shared/formats/src/opaque.rs", "speech", "OpenAI's own name of an endpoint"),
    ("shared/providers/src/", "speech", "OpenAI's own name of an endpoint"),
    ("shared/edge/src/endpoints.rs", "speech", "OpenAI's own name of an endpoint"),
    (
        "shared/config/src/",
        "answer",
        "a key of the configuration: the text that a mock responds with",
    ),
    ("shared/providers/src/mock.rs", "answer", "a key of the configuration"),
    ("functions/lockgate/src/init.rs", "answer", "what an operator types"),
    ("functions/lockgate/src/init.rs", "question", "what an operator is asked"),
];

/// One thing that a source file spells out.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Identifier(&'a str),
    Text(&'a str),
}

/// The identifiers and string literals of a Rust source; comments and everything else are skipped.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let mut tokens = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'"' => {
                let length = string_length(rest);
                tokens.push(Token::Text(&rest[..length]));
                length
            }
            b'r' if rest.starts_with("r\"") || rest.starts_with("r#") => {
                let length = raw_length(rest);
                tokens.push(Token::Text(&rest[..length]));
                length
            }
            b'\'' => char_length(rest),
            first if first == b'_' || first.is_ascii_alphabetic() => {
                let length = rest
                    .find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric())
                    .unwrap_or(rest.len());
                tokens.push(Token::Identifier(&rest[..length]));
                length
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += length.max(1);
    }
    tokens
}

fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_length(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|letter| *letter == '#').count();
    let opening = hashes + 2;
    if rest.as_bytes().get(hashes + 1) != Some(&b'"') {
        return 1; // A raw identifier.
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[opening..].find(&end).map_or(rest.len(), |found| opening + found + end.len())
}

/// A character literal, or only the tick of a lifetime.
fn char_length(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => rest[2..].find('\'').map_or(1, |end| end + 3),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// `maxTokens`, `MaxTokens` and `max_tokens` are `max` and `tokens`.
fn segments(identifier: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut was_lower = false;
    for letter in identifier.chars() {
        let starts_one = letter == '_' || letter.is_ascii_uppercase() && was_lower;
        if starts_one && !segments.last().unwrap().is_empty() {
            segments.push(String::new());
        }
        if letter != '_' {
            segments.last_mut().unwrap().push(letter.to_ascii_lowercase());
        }
        was_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    segments
}

fn is_kept(path: &str, word: &str) -> bool {
    KEPT.iter()
        .any(|(start, kept, _)| path.starts_with(start) && (kept.is_empty() || *kept == word))
}

/// Whether a file is shipped: neither the testkit nor tests in files of their own.
fn is_product(path: &str) -> bool {
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    let is_inside = path.starts_with("shared/") || path.starts_with("functions/");
    is_inside && path.contains("/src/") && !is_test && !path.starts_with("shared/testkit/")
}

/// The retired word in an identifier, with the word to write.
fn retired_identifier(path: &str, name: &str) -> Option<&'static (&'static str, &'static str)> {
    let is_constant = !name.chars().any(|letter| letter.is_ascii_lowercase());
    if is_constant && let Some((first, _)) = name.split_once('_') {
        let found = RETIRED_IN_CONSTANTS.iter().find(|(word, _)| *word == first);
        if found.is_some() {
            return found;
        }
    }

    let segments = segments(name);
    let of_product = if is_product(path) { RETIRED_IN_PRODUCT } else { &[] };
    let mut words = RETIRED.iter().chain(of_product);
    words.find(|(word, _)| segments.iter().any(|segment| segment == word))
}

/// Every retired word of these files, once for each file and word.
fn retired(files: &[File]) -> Vec<String> {
    let mut complaints = vec![];
    for file in files {
        for token in tokens(&file.text) {
            let found = match &token {
                Token::Identifier(name) => retired_identifier(&file.path, name),
                Token::Text(text) => RETIRED_PHRASES.iter().find(|(it, _)| text.contains(it)),
            };
            let Some((word, instead)) = found.filter(|(word, _)| !is_kept(&file.path, word)) else {
                continue;
            };
            let complaint = format!("{}: `{word}` went; write `{instead}`", file.path);
            if !complaints.contains(&complaint) {
                complaints.push(complaint);
            }
        }
    }
    complaints
}

#[test]
fn retired_words_are_not_used() {
    nothing(&retired(&tree::files("", ".rs")));
}

fn file(text: &str) -> Vec<File> {
    vec![File { path: "shared/edge/src/a.rs".to_owned(), text: text.to_owned() }]
}

#[test]
fn a_retired_word_is_found_in_each_spelling() {
    complains(&retired(&file("fn read_mouth() {}")), "write `api`");
    complains(&retired(&file("struct LongestWait;")), "write `max`");
    complains(&retired(&file("const LONGEST: usize = 1;")), "write `max`");
    complains(&retired(&file("warn!(\"nobody rests\");")), "cools down");
}

#[test]
fn a_word_may_be_retired_for_what_is_shipped_alone() {
    complains(&retired(&file("let answer = 1;")), "write `response`");
    let text = "let answer = 1;".to_owned();
    let path = "functions/lockgate/tests/a.rs".to_owned();
    assert!(retired(&[File { path, text }]).is_empty());
}

#[test]
fn a_bound_begins_with_max_or_min() {
    complains(&retired(&file("const MOST_BYTES: usize = 1;")), "write `MAX`");
    assert!(retired(&file("let at_most = most_bytes; Change::AtMost(1);")).is_empty());
}

#[test]
fn comments_and_longer_words_are_left_alone() {
    assert!(retired(&file("// a mouth\nlet soundness = '\"'; /* talk */")).is_empty());
    assert!(retired(&file("let text = r#\"mouth\"#; fn f<'a>(a: &'a str) {}")).is_empty());
}
