//! OpenAI's older completions, case by case, as in `golden.rs`: their requests go to chats too, and
//! their responses come from them.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "golden/case.rs"]
mod case;
#[path = "golden/show.rs"]
mod show;

use formats::{
    DecodeMode, InboundChat, OutboundChat, OutboundText, anthropic::messages::Anthropic,
    openai::chat::OpenAiChat, openai::completions::OpenAiCompletions,
};

/// A format in its roles, as the cases of others have it.
struct Format {
    folder: &'static str,
}

const FOLDER: &str = "openai/completions";
const PROVIDER: &dyn OutboundText = &OpenAiCompletions;

/// Formats of clients.
fn inbound() -> impl Iterator<Item = (Format, &'static dyn InboundChat)> {
    let clients: [(Format, &'static dyn InboundChat); 2] = [
        (Format { folder: FOLDER }, &OpenAiCompletions),
        (Format { folder: "openai/chat" }, &OpenAiChat),
    ];
    clients.into_iter()
}

/// Formats of providers that have chats alone.
fn outbound() -> impl Iterator<Item = (Format, &'static dyn OutboundChat)> {
    let providers: [(Format, &'static dyn OutboundChat); 2] = [
        (Format { folder: "openai/chat" }, &OpenAiChat),
        (Format { folder: "anthropic/messages" }, &Anthropic),
    ];
    providers.into_iter()
}

#[test]
fn requests_are_encoded_as_expected() {
    case::check(FOLDER, "request", |input| show::request(&OpenAiCompletions, input));
}

#[test]
fn responses_are_encoded_as_expected() {
    case::check(FOLDER, "response", |input| show::response(PROVIDER, input));
}

#[test]
fn streams_are_encoded_as_expected() {
    case::check(FOLDER, "stream", |input| show::stream(PROVIDER, input));
}

#[test]
fn errors_are_decoded_as_expected() {
    case::check(FOLDER, "error", |input| show::error(PROVIDER, input));
}

#[test]
fn a_decoded_stream_does_not_depend_on_chunk_boundaries() {
    for case in case::all(FOLDER, "stream") {
        let input = case.input();
        for purpose in [DecodeMode::Passthrough, DecodeMode::Translate] {
            let events = |slices: &[&[u8]]| show::events(PROVIDER, purpose, slices);
            let whole = events(&[&input]);
            for size in [1, 2, 3, 7, 61, 509] {
                let slices: Vec<&[u8]> = input.chunks(size).collect();
                assert_eq!(events(&slices), whole, "{case}, in chunks of {size}");
            }
        }
    }
}
