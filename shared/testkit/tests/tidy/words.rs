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
    ("wordless", "unsupported"),
];

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

/// Every retired word of these files, once for each file and word.
fn retired(files: &[File]) -> Vec<String> {
    let mut complaints = vec![];
    for file in files {
        for token in tokens(&file.text) {
            let found = match &token {
                Token::Identifier(name) => {
                    let segments = segments(name);
                    RETIRED.iter().find(|(word, _)| segments.iter().any(|it| it == word))
                }
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
fn comments_and_longer_words_are_left_alone() {
    assert!(retired(&file("// a mouth\nlet soundness = '\"'; /* talk */")).is_empty());
    assert!(retired(&file("let text = r#\"mouth\"#; fn f<'a>(a: &'a str) {}")).is_empty());
}
