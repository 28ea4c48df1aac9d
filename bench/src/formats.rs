//! What translation costs: every pair of formats, without sockets.

use std::{
    io::{self, Write},
    time::Instant,
};

use ::formats::{
    DecodeMode, DecodeOptions, EncodeOptions, InboundChat, OutboundChat, StreamEncoder,
    anthropic::messages::Anthropic, google::generate_content::Gemini, openai::chat::OpenAiChat,
    openai::responses::OpenAiResponses,
};
use bytes::{Bytes, BytesMut};
use canonical::{CallSummary, Delta, EventKind, FinishReason, ModelFacts, StreamEvent, Task};

use crate::load::median;
use formats::{GatewayRequest, RawObject};

/// Formats that are spoken on both sides.
const FORMATS: &[(&dyn InboundChat, &dyn OutboundChat)] = &[
    (&OpenAiChat, &OpenAiChat),
    (&OpenAiResponses, &OpenAiResponses),
    (&Anthropic, &Anthropic),
    (&Gemini, &Gemini),
];
/// Pieces of text in a stream.
const CHUNKS: usize = 1000;
/// How often each pair has its turn.
const ROUNDS: usize = 21;

/// Measures, and writes what it found as a table.
pub(crate) fn measure(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n## Translation (medians of {ROUNDS} rounds, one thread, no sockets)\n")?;
    writeln!(out, "| provider to client | µs per streamed chunk | µs per request of 32 KiB |")?;
    writeln!(out, "| --- | --- | --- |")?;
    for (theirs, provider) in FORMATS {
        let stream = written(*theirs, &stream_events());
        for (client, _) in FORMATS {
            let same = client.format().name == provider.name();
            let purpose = if same { DecodeMode::Passthrough } else { DecodeMode::Translate };
            let chunk = timed(|| passed(*provider, purpose, *client, &stream)) / CHUNKS as f64;
            let request = timed(|| translate_request(*client, *provider));
            let (from, to) = (provider.name(), client.format().name);
            writeln!(out, "| {from} to {to} | {chunk:.2} | {request:.0} |")?;
        }
    }
    Ok(())
}

/// The median time of a function, in microseconds.
fn timed(work: impl Fn() -> usize) -> f64 {
    let round = || {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    };
    let times: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    median(&times).map_or(0.0, |it| it.as_secs_f64() * 1e6)
}

/// A stream of text.
fn stream_events() -> Vec<StreamEvent> {
    let start = Delta::Start { id: Some("answer".to_owned()), model: Some("model".to_owned()) };
    let text = (0..CHUNKS).map(|it| Delta::Text(format!("word{it} ")));
    let end = [Delta::Finish(FinishReason::Stop), Delta::End];
    [start].into_iter().chain(text).chain(end).map(|it| StreamEvent::delta(0, it)).collect()
}

fn writer(client: &dyn InboundChat) -> Box<dyn StreamEncoder> {
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    client.stream_encoder(&request)
}

fn written(client: &dyn InboundChat, events: &[StreamEvent]) -> Bytes {
    let (mut writer, mut out) = (writer(client), BytesMut::new());
    for event in events {
        writer.write(event.clone(), &mut out);
    }
    writer.end(&CallSummary::default(), &mut out);
    out.freeze()
}

/// Decodes and encodes a stream in slices of a network's size.
fn passed(
    provider: &dyn OutboundChat,
    purpose: DecodeMode,
    client: &dyn InboundChat,
    stream: &Bytes,
) -> usize {
    let mut reader =
        provider.stream_decoder(DecodeOptions { mode: purpose, ..DecodeOptions::default() });
    let (mut writer, mut out, mut events) = (writer(client), BytesMut::new(), vec![]);
    let mut sum = 0;
    for at in (0..stream.len()).step_by(300) {
        let slice = stream.slice(at..(at + 300).min(stream.len()));
        drop(reader.read(slice, &mut events));
        for event in events.drain(..) {
            let ends = event.kind == EventKind::End;
            writer.write(event, &mut out);
            if ends {
                writer.end(&CallSummary::default(), &mut out);
            }
        }
        sum += out.split().len();
    }
    sum
}

/// Understands a request and writes it for a provider.
fn translate_request(client: &dyn InboundChat, provider: &dyn OutboundChat) -> usize {
    let text = "word ".repeat(32 * 1024 / 5);
    let body = match client.format().name {
        "gemini" => format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]}}"#),
        "openai_responses" => format!(r#"{{"model":"m","input":"{text}"}}"#),
        _ => format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{text}"}}]}}"#
        ),
    };
    let Ok(request) = client.decode(body.into()) else { return 0 };
    let facts = ModelFacts { max_output: Some(4096), ..ModelFacts::UNKNOWN };
    let target = EncodeOptions { model: "model", facts: &facts, ..EncodeOptions::default() };
    let encoded = if client.format().name == provider.name() {
        request.passthrough(&target)
    } else {
        request.canonical().and_then(|it| provider.encode(it.conversation()?, &target))
    };
    encoded.map_or(0, |it| it.body.len())
}
