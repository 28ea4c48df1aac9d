//! The work for any input is linear in its size.
//!
//! Nothing here looks at a clock. Each input is so large that looking for things one by one would
//! take minutes, and what is written of it must stay in proportion. `make bench` shows the time for
//! a byte.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use bytes::{Bytes, BytesMut};
use canonical::{
    CallSummary, ChatResponse, Choice, EventKind, FinishReason, GatewayResponse, ModelFacts, Part,
    ResponseBody, Task, Usage,
};
use formats::{
    ClientFormat, DecodeMode, DecodeOptions, EncodeOptions, GatewayRequest, InboundChat,
    OutboundChat, RawObject, anthropic::messages::Anthropic, aws::converse::Bedrock, from_provider,
    google::generate_content::Gemini, openai::chat::OpenAiChat, openai::responses::OpenAiResponses,
};
use testkit::hostile::{HOSTILE, Hostile, Kind};

/// How many of something each input has.
const SIZE: usize = 12_000;
/// The maximum ratio of output to input: an event has names and numbers around its few bytes.
const MAX_WRITTEN: usize = 100;

const INBOUND: &[&dyn InboundChat] = &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini];
const OUTBOUND: &[&dyn OutboundChat] =
    &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini, &Bedrock];

fn check(kind: Kind) {
    for Hostile { name, formats: (from, to), write, .. } in
        HOSTILE.iter().filter(|it| it.kind == kind)
    {
        let input = Bytes::from(write(SIZE));
        let most = input.len() * MAX_WRITTEN;
        let written = passed(kind, (from, to), &input);
        assert!(0 < written, "{from} to {to}, {name}: refused");
        assert!(written <= most, "{from} to {to}, {name}: {written} of {}", input.len());
    }
}

/// How much is written of an input.
fn passed(kind: Kind, (from, to): (&str, &str), input: &Bytes) -> usize {
    let provider = |name| *OUTBOUND.iter().find(|it| it.name() == name).unwrap();
    let client = |name| *INBOUND.iter().find(|it| it.format().name == name).unwrap();
    match kind {
        Kind::Request => translate_request(client(from), provider(to), input),
        Kind::Response => answered(provider(from), client(to), input),
        Kind::Stream => streamed(provider(from), client(to), input),
        Kind::Failure => from_provider(400, None, input).message().len(),
    }
}

fn purpose(client: &dyn InboundChat, provider: &dyn OutboundChat) -> DecodeMode {
    let same = client.format().name == provider.name();
    if same { DecodeMode::Passthrough } else { DecodeMode::Translate }
}

fn translate_request(
    client: &dyn InboundChat,
    provider: &dyn OutboundChat,
    input: &Bytes,
) -> usize {
    let request = client.decode(input.clone()).unwrap();
    let facts = ModelFacts { max_output: Some(4096), ..ModelFacts::UNKNOWN };
    let target =
        EncodeOptions { model: "claude-sonnet-4-5", facts: &facts, ..EncodeOptions::default() };
    let encoded = match purpose(client, provider) {
        DecodeMode::Passthrough => request.passthrough(&target),
        DecodeMode::Translate => {
            let conversation = request.canonical().unwrap().conversation().unwrap();
            provider.encode(conversation, &target)
        }
    };
    encoded.unwrap().body.len()
}

fn answered(provider: &dyn OutboundChat, client: &'static dyn InboundChat, input: &Bytes) -> usize {
    let purpose = purpose(client, provider);
    let response = provider
        .response(input.clone(), DecodeOptions { mode: purpose, ..DecodeOptions::default() });
    ClientFormat::Chat(client).encode(&response.unwrap(), &CallSummary::default(), None).len()
}

fn streamed(provider: &dyn OutboundChat, client: &dyn InboundChat, input: &Bytes) -> usize {
    let purpose = purpose(client, provider);
    let mut reader =
        provider.stream_decoder(DecodeOptions { mode: purpose, ..DecodeOptions::default() });
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    let mut writer = client.stream_encoder(&request);
    let (mut out, mut events, mut written) = (BytesMut::new(), vec![], 0);
    let mut at = 0;
    while at <= input.len() {
        let slice = input.slice(at..input.len().min(at + 1000));
        at += 1000;
        reader.read(slice, &mut events).unwrap();
        if input.len() < at {
            reader.close(&mut events).unwrap();
        }
        for event in events.drain(..) {
            let ends = event.kind == EventKind::End;
            writer.write(event, &mut out);
            if ends {
                writer.end(&CallSummary::default(), &mut out);
            }
        }
        written += out.split().len();
    }
    written
}

#[test]
fn the_cost_of_requests_is_linear_in_their_size() {
    check(Kind::Request);
}

#[test]
fn the_cost_of_responses_is_linear_in_their_size() {
    check(Kind::Response);
    check(Kind::Failure);
}

#[test]
fn the_cost_of_streams_is_linear_in_their_size() {
    check(Kind::Stream);
}

#[test]
fn usage_of_any_size_is_written() {
    let most = u64::MAX;
    let usage = Usage {
        input: most,
        cached_input: most,
        cache_write: most,
        cache_write_hour: most,
        input_audio: most,
        output: most,
        reasoning: most,
        output_audio: most,
    };
    let choice = Choice { parts: vec![Part::text("x")], finish_reason: FinishReason::Stop };
    let chat = ChatResponse { id: None, model: None, choices: vec![choice] };
    let body = ResponseBody::Chat(chat);
    let response = GatewayResponse { body, usage: Some(usage), facts: None };
    for client in INBOUND {
        let client = ClientFormat::Chat(*client);
        assert!(!client.encode(&response, &CallSummary::default(), None).is_empty());
    }
}

#[test]
fn token_counts_of_any_size_are_accepted() {
    let most = u64::MAX;
    let chat = format!(
        r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{most},"completion_tokens":{most},"total_tokens":{most},"completion_tokens_details":{{"reasoning_tokens":{most}}}}}}}"#
    );
    let responses = format!(
        r#"{{"status":"completed","output":[{{"type":"message","content":[{{"type":"output_text","text":"x"}}]}}],"usage":{{"input_tokens":{most},"output_tokens":{most}}}}}"#
    );
    let anthropic = format!(
        r#"{{"type":"message","content":[{{"type":"text","text":"x"}}],"stop_reason":"end_turn","usage":{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":{most}}}}}"#
    );
    let gemini = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"x"}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":{most},"candidatesTokenCount":{most},"thoughtsTokenCount":{most},"toolUsePromptTokenCount":{most},"candidatesTokensDetails":[{{"modality":"AUDIO","tokenCount":{most}}},{{"modality":"AUDIO","tokenCount":{most}}}]}}}}"#
    );
    let bedrock = format!(
        r#"{{"output":{{"message":{{"content":[{{"text":"x"}}]}}}},"stopReason":"end_turn","usage":{{"inputTokens":{most},"cacheReadInputTokens":{most},"outputTokens":{most}}}}}"#
    );
    for (provider, body) in OUTBOUND.iter().zip([chat, responses, anthropic, gemini, bedrock]) {
        let reading = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let response = provider.response(body.into(), reading).unwrap();
        assert!(1_000_000 < response.usage.unwrap().all_input(), "{}", provider.name());
        for client in INBOUND {
            let client = ClientFormat::Chat(*client);
            assert!(!client.encode(&response, &CallSummary::default(), None).is_empty());
        }
    }
}
