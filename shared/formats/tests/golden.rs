//! Translations, case by case: one input file and one expected file in each folder.
//!
//! `tests/golden/<vendor>/<format>/<request|response|stream|error>/<case>/`. `make golden` rewrites what is
//! expected; the diff is the review. A stream is also cut at every byte.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "golden/case.rs"]
mod case;
#[path = "golden/show.rs"]
mod show;

use formats::{
    DecodeMode, InboundChat, OutboundChat, anthropic::messages::Anthropic, aws::converse::Bedrock,
    google::generate_content::Gemini, openai::chat::OpenAiChat, openai::responses::OpenAiResponses,
};

/// A format in its roles, and the folder of its cases. Each case also shows what becomes of it in
/// every other format.
struct Format {
    folder: &'static str,
    inbound: Option<&'static dyn InboundChat>,
    outbound: Option<&'static dyn OutboundChat>,
}

const FORMATS: &[Format] = &[
    Format { folder: "anthropic/messages", inbound: Some(&Anthropic), outbound: Some(&Anthropic) },
    Format { folder: "aws/converse", inbound: None, outbound: Some(&Bedrock) },
    Format { folder: "google/generate_content", inbound: Some(&Gemini), outbound: Some(&Gemini) },
    Format { folder: "openai/chat", inbound: Some(&OpenAiChat), outbound: Some(&OpenAiChat) },
    Format {
        folder: "openai/responses",
        inbound: Some(&OpenAiResponses),
        outbound: Some(&OpenAiResponses),
    },
];

/// What a case is about.
const KINDS: &[&str] = &["request", "response", "stream", "error"];

/// Formats of clients.
fn inbound() -> impl Iterator<Item = (&'static Format, &'static dyn InboundChat)> {
    FORMATS.iter().filter_map(|it| Some((it, it.inbound?)))
}

/// Formats of providers.
fn outbound() -> impl Iterator<Item = (&'static Format, &'static dyn OutboundChat)> {
    FORMATS.iter().filter_map(|it| Some((it, it.outbound?)))
}

#[test]
fn requests_are_encoded_as_expected() {
    for (format, client) in inbound() {
        case::check(format.folder, "request", |input| show::request(client, input));
    }
}

#[test]
fn responses_are_encoded_as_expected() {
    for (format, provider) in outbound() {
        case::check(format.folder, "response", |input| show::response(provider, input));
    }
}

#[test]
fn streams_are_encoded_as_expected() {
    for (format, provider) in outbound() {
        case::check(format.folder, "stream", |input| show::stream(provider, input));
    }
}

#[test]
fn errors_are_decoded_as_expected() {
    for (format, provider) in outbound() {
        case::check(format.folder, "error", |input| show::error(provider, input));
    }
}

#[test]
fn a_decoded_stream_does_not_depend_on_chunk_boundaries() {
    for (format, provider) in outbound() {
        for case in case::all(format.folder, "stream") {
            let input = case.input();
            for purpose in [DecodeMode::Passthrough, DecodeMode::Translate] {
                let events = |slices: &[&[u8]]| show::events(provider, purpose, slices);
                let whole = events(&[&input]);
                // One by one, every byte is a cut; larger sizes cut several events in odd places.
                for size in [1, 2, 3, 7, 61, 509] {
                    let slices: Vec<&[u8]> = input.chunks(size).collect();
                    assert_eq!(events(&slices), whole, "{case}, in chunks of {size}");
                }
            }
        }
    }
}

#[test]
fn every_kind_has_cases() {
    for format in FORMATS {
        for kind in KINDS {
            let role = if *kind == "request" {
                format.inbound.is_some()
            } else {
                format.outbound.is_some()
            };
            let has_cases = !case::all(format.folder, kind).is_empty();
            assert_eq!(role, has_cases, "{} {kind}", format.folder);
        }
    }
}
