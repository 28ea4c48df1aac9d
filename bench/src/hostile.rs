//! What hostile input costs: the time for a byte at one size and at eight times that, which is the
//! same where the work is linear in the input's size.

use std::{
    io::{self, Write},
    time::Instant,
};

use ::formats::{
    ClientFormat, DecodeMode, DecodeOptions, EncodeOptions, InboundChat, OutboundChat,
    anthropic::messages::Anthropic, aws::converse::Bedrock, from_provider,
    google::generate_content::Gemini, openai::chat::OpenAiChat, openai::responses::OpenAiResponses,
};
use bytes::{Bytes, BytesMut};
use canonical::{CallSummary, EventKind, ModelFacts, Task};
use testkit::hostile::{HOSTILE, Hostile, Kind};

use crate::load::median;
use formats::{GatewayRequest, RawObject};

/// How many of something the smaller inputs have.
const SIZE: usize = 4000;
/// How much larger the larger ones are.
const TIMES: usize = 8;
/// How often each has its turn.
const ROUNDS: usize = 5;

const INBOUND: &[&dyn InboundChat] = &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini];
const OUTBOUND: &[&dyn OutboundChat] =
    &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini, &Bedrock];

/// Measures, and writes what it found as a table.
pub(crate) fn measure(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n## Hostile input (medians of {ROUNDS} rounds, one thread, no sockets)\n")?;
    writeln!(out, "| what | from | to | KiB | ns per byte | at {TIMES} times the size | ratio |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for input in HOSTILE {
        let (small, large) = ((input.write)(SIZE).into(), (input.write)(SIZE * TIMES).into());
        let (once, more) = (timed(input, &small), timed(input, &large));
        let (from, to) = input.formats;
        let (name, kib) = (input.name, small.len() / 1024);
        let ratio = more / once;
        writeln!(out, "| {name} | {from} | {to} | {kib} | {once:.1} | {more:.1} | {ratio:.1} |")?;
    }
    Ok(())
}

/// The median time for a byte, in nanoseconds.
fn timed(input: &Hostile, bytes: &Bytes) -> f64 {
    let round = || {
        let start = Instant::now();
        std::hint::black_box(passed(input, bytes));
        start.elapsed()
    };
    let times: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    median(&times).map_or(0.0, |it| it.as_secs_f64() * 1e9 / bytes.len() as f64)
}

/// Translates an input, and returns the output's size; none where it is rejected.
fn passed(input: &Hostile, bytes: &Bytes) -> Option<usize> {
    let (from, to) = input.formats;
    let provider = |name| OUTBOUND.iter().find(|it| it.name() == name).copied();
    let client = |name| INBOUND.iter().find(|it| it.format().name == name).copied();
    match input.kind {
        Kind::Request => translate_request(client(from)?, provider(to)?, bytes),
        Kind::Response => {
            let (provider, client) = (provider(from)?, client(to)?);
            let response = provider.response(bytes.clone(), reading(client, provider)).ok()?;
            let client = ClientFormat::Chat(client);
            Some(client.encode(&response, &CallSummary::default(), None).len())
        }
        Kind::Stream => Some(streamed(provider(from)?, client(to)?, bytes)),
        Kind::Failure => Some(from_provider(400, None, bytes).message().len()),
    }
}

fn reading(client: &dyn InboundChat, provider: &dyn OutboundChat) -> DecodeOptions {
    let same = client.format().name == provider.name();
    let purpose = if same { DecodeMode::Passthrough } else { DecodeMode::Translate };
    DecodeOptions { mode: purpose, ..DecodeOptions::default() }
}

fn translate_request(
    client: &dyn InboundChat,
    provider: &dyn OutboundChat,
    bytes: &Bytes,
) -> Option<usize> {
    let request = client.decode(bytes.clone()).ok()?;
    let facts = ModelFacts { max_output: Some(4096), ..ModelFacts::UNKNOWN };
    let target =
        EncodeOptions { model: "claude-sonnet-4-5", facts: &facts, ..EncodeOptions::default() };
    let encoded = match reading(client, provider).mode {
        DecodeMode::Passthrough => request.passthrough(&target),
        DecodeMode::Translate => {
            request.canonical().and_then(|it| provider.encode(it.conversation()?, &target))
        }
    };
    Some(encoded.ok()?.body.len())
}

fn streamed(provider: &dyn OutboundChat, client: &dyn InboundChat, bytes: &Bytes) -> usize {
    let mut reader = provider.stream_decoder(reading(client, provider));
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    let mut writer = client.stream_encoder(&request);
    let (mut out, mut events, mut written) = (BytesMut::new(), vec![], 0);
    for at in (0..bytes.len()).step_by(1000) {
        drop(reader.read(bytes.slice(at..bytes.len().min(at + 1000)), &mut events));
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
