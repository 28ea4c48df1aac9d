//! For every valid response, each encoder writes a valid stream that its own decoder can decode;
//! and whatever bytes come, no reader panics.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "round_trip/responses.rs"]
mod responses;

use bytes::{Bytes, BytesMut};
use canonical::{CallSummary, EventKind, FinishReason, StreamEvent, Task};
use formats::{
    DecodeMode, DecodeOptions, GatewayRequest, InboundChat, OutboundChat, RawObject,
    anthropic::messages::Anthropic, google::generate_content::Gemini, openai::chat::OpenAiChat,
    openai::responses::OpenAiResponses,
};
use proptest::prelude::*;
use responses::{GeneratedResponse, response, stream_events};

/// Formats that are spoken on both sides.
const FORMATS: &[(&str, &dyn InboundChat, &dyn OutboundChat)] = &[
    ("anthropic", &Anthropic, &Anthropic),
    ("gemini", &Gemini, &Gemini),
    ("openai_chat", &OpenAiChat, &OpenAiChat),
    ("openai_responses", &OpenAiResponses, &OpenAiResponses),
];

/// The bytes that a client gets for a response.
fn written(client: &dyn InboundChat, events: Vec<StreamEvent>) -> Bytes {
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    let mut writer = client.stream_encoder(&request);
    let mut out = BytesMut::new();
    for event in events {
        let ends = event.kind == EventKind::End;
        writer.write(event, &mut out);
        if ends {
            writer.end(&CallSummary::default(), &mut out);
        }
    }
    out.freeze()
}

/// The events decoded from bytes in slices of this size.
fn read(
    provider: &dyn OutboundChat,
    bytes: &[u8],
    size: usize,
) -> Result<Vec<StreamEvent>, String> {
    let reading = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
    let mut reader = provider.stream_decoder(reading);
    let mut events = vec![];
    for chunk in bytes.chunks(size) {
        let chunk = Bytes::copy_from_slice(chunk);
        reader.read(chunk, &mut events).map_err(|it| it.to_string())?;
    }
    reader.close(&mut events).map_err(|it| it.to_string())?;
    Ok(events)
}

proptest! {
    #[test]
    fn a_decoder_reads_what_its_encoder_writes(
        (generated, order) in (response(), any::<u64>()),
        size in 1_usize..200,
    ) {
        for (name, client, provider) in FORMATS {
            let bytes = written(*client, stream_events(&generated, order));
            let events = read(*provider, &bytes, size)
                .map_err(|it| TestCaseError::fail(format!("{name}: {it}: {bytes:?}")))?;
            let decoded = responses::of(&events);
            prop_assert_eq!(&decoded, &generated, "{}: {:?}", name, bytes);
            let ends = events.iter().filter(|it| it.kind == EventKind::End).count();
            prop_assert_eq!(ends, 1, "{}: {:?}", name, bytes);
        }
    }

    #[test]
    fn a_truncated_stream_never_decodes_as_complete(
        (generated, order) in (response(), any::<u64>()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        for (name, client, provider) in FORMATS {
            let bytes = written(*client, stream_events(&generated, order));
            // The last line ends may be missing.
            for cut in cuts.iter().map(|it| it.index(bytes.len() - 2)) {
                let outcome = read(*provider, &bytes[..cut], 4096);
                prop_assert!(outcome.is_err(), "{} cut at {}: {:?}", name, cut, bytes);
            }
        }
    }

    #[test]
    fn no_decoder_panics(
        (generated, order) in (response(), any::<u64>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for (_, client, provider) in FORMATS {
            let mut bytes = written(*client, stream_events(&generated, order)).to_vec();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            drop(read(*provider, &bytes, 4096));
        }
    }
}

#[test]
fn an_empty_response_still_ends() {
    let generated =
        GeneratedResponse { finish: FinishReason::Stop, ..GeneratedResponse::default() };
    for (name, client, provider) in FORMATS {
        let bytes = written(*client, stream_events(&generated, 0));
        assert_eq!(responses::of(&read(*provider, &bytes, 7).unwrap()), generated, "{name}");
    }
}
