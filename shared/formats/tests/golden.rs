//! Translations, case by case: one input file and one expected file in each folder.
//!
//! `tests/golden/<format>/<request|response|stream|error>/<case>/`. `make golden` rewrites what is
//! expected; the diff is the review. A stream is also cut at every byte.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "golden/case.rs"]
mod case;
#[path = "golden/show.rs"]
mod show;

use formats::{Inbound, Outbound, openai_chat::OpenAiChat};

/// A format in both of its roles, and the folder of its cases.
struct Format {
    folder: &'static str,
    inbound: &'static dyn Inbound,
    outbound: &'static dyn Outbound,
}

const FORMATS: &[Format] =
    &[Format { folder: "openai_chat", inbound: &OpenAiChat, outbound: &OpenAiChat }];

/// What a case is about, and the file that it begins with.
const KINDS: &[(&str, &str)] = &[
    ("request", "request.json"),
    ("response", "response.json"),
    ("stream", "stream.sse"),
    ("error", "answer.http"),
];

#[test]
fn requests_are_passed_on_as_expected() {
    for format in FORMATS {
        case::check(format.folder, "request", |input| show::request(format, input));
    }
}

#[test]
fn answers_are_passed_back_as_expected() {
    for format in FORMATS {
        case::check(format.folder, "response", |input| show::response(format, input));
    }
}

#[test]
fn streams_are_passed_back_as_expected() {
    for format in FORMATS {
        case::check(format.folder, "stream", |input| show::stream(format, input));
    }
}

#[test]
fn errors_are_understood_as_expected() {
    for format in FORMATS {
        case::check(format.folder, "error", |input| show::error(format, input));
    }
}

#[test]
fn a_stream_does_not_depend_on_where_its_bytes_are_cut() {
    for format in FORMATS {
        for case in case::all(format.folder, "stream") {
            let input = case.input();
            let whole = show::events(format, &[&input]);
            for cut in 1..input.len() {
                let (head, tail) = input.split_at(cut);
                assert_eq!(show::events(format, &[head, tail]), whole, "{case}, cut at {cut}");
            }
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(show::events(format, &bytes), whole, "{case}, byte by byte");
        }
    }
}

#[test]
fn every_kind_has_cases() {
    for format in FORMATS {
        for (kind, _) in KINDS {
            assert!(!case::all(format.folder, kind).is_empty(), "{}/{kind}", format.folder);
        }
    }
}
