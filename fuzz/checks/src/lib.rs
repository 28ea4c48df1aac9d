//! What the fuzz targets check: every format, chosen by the first byte of the input. The second says
//! how: what a target supports, or how a stream is cut.
//!
//! It is a crate of the workspace, so that it is built and its golden inputs are replayed with every
//! test; only the targets themselves need a nightly compiler.

use std::sync::LazyLock;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Bytes, BytesMut};
use canonical::{CallSummary, CanonicalRequest, ErrorKind, EventKind, Field, ModelFacts, Task};
use formats::{
    ChatCompatibility, ClientFormat, DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest,
    GatewayRequest, InboundChat, MaxTokensName, OutboundChat, OutboundConversation, Prefill,
    ProviderFormat, RawObject, StreamUsage, ToolNames,
    anthropic::messages::{Anthropic, AnthropicCount},
    aws::converse::Bedrock,
    aws::embeddings::BedrockEmbeddings,
    google::embeddings::GeminiEmbeddings,
    google::generate_content::{Gemini, GeminiCount},
    openai::chat::OpenAiChat,
    openai::embeddings::OpenAiEmbeddings,
    openai::responses::OpenAiResponses,
};

/// The formats of clients.
pub const INBOUND: &[ClientFormat] = &[
    ClientFormat::Chat(&OpenAiChat),
    ClientFormat::Chat(&OpenAiResponses),
    ClientFormat::Chat(&Anthropic),
    ClientFormat::Chat(&Gemini),
    ClientFormat::TokenCount(&AnthropicCount),
    ClientFormat::TokenCount(&GeminiCount),
    ClientFormat::Embeddings(&OpenAiEmbeddings),
];
/// The formats of providers.
pub const OUTBOUND: &[ProviderFormat] = &[
    ProviderFormat::Chat(&OpenAiChat),
    ProviderFormat::Chat(&OpenAiResponses),
    ProviderFormat::Chat(&Anthropic),
    ProviderFormat::Chat(&Gemini),
    ProviderFormat::Chat(&Bedrock),
    ProviderFormat::TokenCount(&AnthropicCount),
    ProviderFormat::TokenCount(&GeminiCount),
    ProviderFormat::Embeddings(&OpenAiEmbeddings),
    ProviderFormat::Embeddings(&GeminiEmbeddings),
    ProviderFormat::Embeddings(&BedrockEmbeddings),
];
/// Models whose demands differ.
const MODELS: &[&str] = &[
    "gpt-5",
    "claude-sonnet-4-5",
    "claude-opus-4-7",
    "gemini-2.5-flash",
    "gemini-3-pro",
    "us.anthropic.claude-sonnet-4-5-v1:0",
    "amazon.nova-pro-v1:0",
    "amazon.titan-embed-text-v2:0",
];
/// What is known of each of [`MODELS`].
static FACTS: LazyLock<Vec<ModelFacts>> =
    LazyLock::new(|| MODELS.iter().map(|it| model_catalog::facts("", it)).collect());
/// The bit of the second byte that says that a stream of binary frames is written down as text.
const WRITTEN: u8 = 0x80;

/// One of a list, how, and the rest of the input.
fn choose<'a, T: Copy>(list: &[T], input: &'a [u8]) -> Option<(T, u8, &'a [u8])> {
    let ([first, how], rest) = input.split_first_chunk::<2>()?;
    Some((list[usize::from(*first) % list.len()], *how, rest))
}

fn is_same(client: ClientFormat, provider: ProviderFormat) -> bool {
    client.inbound().format().name == provider.outbound().name()
}

/// Decodes a request and encodes it for every provider.
pub fn request(input: &[u8]) {
    let Some((client, how, body)) = choose(INBOUND, input) else { return };
    let Ok(request) = client.inbound().decode(Bytes::copy_from_slice(body)) else { return };
    let canonical = request.canonical();
    for (provider, drop_signatures) in OUTBOUND.iter().flat_map(|it| [(*it, false), (*it, true)]) {
        let target = EncodeOptions { drop_signatures, ..target(how) };
        if is_same(client, provider) {
            sent(request.passthrough(&target));
        }
        if let Ok(canonical) = canonical {
            sent(translated(canonical, provider, &target));
        }
    }
}

fn translated(
    canonical: &CanonicalRequest,
    provider: ProviderFormat,
    target: &EncodeOptions<'_>,
) -> canonical::Result<EncodedRequest> {
    let format: &dyn OutboundConversation = match provider {
        ProviderFormat::Chat(format) => format,
        ProviderFormat::TokenCount(format) => format,
        ProviderFormat::Embeddings(format) => return format.encode(canonical.embedding()?, target),
        // Their requests only pass through.
        ProviderFormat::Completions(_)
        | ProviderFormat::Infill(_)
        | ProviderFormat::Compaction(_)
        | ProviderFormat::Opaque(_) => {
            return Ok(EncodedRequest { body: "{}".into(), ..EncodedRequest::default() });
        }
    };
    let mut conversation =
        canonical.conversation()?.without_fields(target.drop_fields).into_owned();
    if target.drop_signatures {
        conversation = conversation.without_signatures();
    }
    let conversation = ToolNames::of(&conversation, format).rename(conversation);
    format.encode(&conversation, target)
}

fn target(how: u8) -> EncodeOptions<'static> {
    let is = |bit: u8| how & bit != 0;
    EncodeOptions {
        model: MODELS[usize::from(how & 7)],
        stream: is(8),
        stream_usage: if is(16) { StreamUsage::Always } else { StreamUsage::OnRequest },
        facts: &FACTS[usize::from(how & 7)],
        drop_fields: if is(128) { &[Field::ResponseFormat, Field::ToolChoice] } else { &[] },
        compatibility: ChatCompatibility {
            max_tokens_name: match how & 96 {
                0 => MaxTokensName::Either,
                32 => MaxTokensName::Completion,
                _ => MaxTokensName::Plain,
            },
            developer_role: is(64),
            reasoning_content: is(128),
            prefill: match how & 48 {
                0 => Prefill::None,
                16 => Prefill::Prefix,
                _ => Prefill::ContinueFinalMessage,
            },
        },
        drop_signatures: false,
    }
}

/// What is sent is JSON, and a fault is not ours.
fn sent(encoded: canonical::Result<EncodedRequest>) {
    match encoded {
        Ok(encoded) => {
            let body = std::str::from_utf8(&encoded.body).expect("a body is text");
            // Only `RawValue` takes any depth and any number.
            serde_json::from_str::<&serde_json::value::RawValue>(body).expect("a body is JSON");
        }
        Err(error) => drop(error),
    }
}

/// Decodes a whole response and a failure, and encodes them for every client.
pub fn answer(input: &[u8]) {
    let Some((provider, how, body)) = choose(OUTBOUND, input) else { return };
    let status = 400 + u16::from(how);
    drop(formats::from_provider(status, None, body));
    for mode in [DecodeMode::Passthrough, DecodeMode::Translate] {
        let reading = DecodeOptions { mode, ..DecodeOptions::default() };
        let body = Bytes::copy_from_slice(body);
        let Ok(response) = provider.outbound().response(body, reading) else { return };
        for client in INBOUND {
            if mode == DecodeMode::Translate || is_same(*client, provider) {
                drop(client.encode(&response, &CallSummary::default(), None));
            }
        }
    }
}

/// Decodes a stream in slices whose size the second byte says, and encodes it for every client.
pub fn stream(input: &[u8]) {
    let chats: Vec<_> = OUTBOUND
        .iter()
        .filter_map(|it| if let ProviderFormat::Chat(format) = it { Some(*format) } else { None })
        .collect();
    let Some((provider, how, body)) = choose(&chats, input) else { return };
    let size = usize::from(how & !WRITTEN).max(1);
    let body = if how & WRITTEN == 0 { Bytes::copy_from_slice(body) } else { frames(body) };
    for client in INBOUND {
        let ClientFormat::Chat(format) = *client else { continue };
        passed(provider, DecodeMode::Translate, format, &body, size);
        if is_same(*client, ProviderFormat::Chat(provider)) {
            passed(provider, DecodeMode::Passthrough, format, &body, size);
        }
    }
}

fn passed(
    provider: &dyn OutboundChat,
    mode: DecodeMode,
    client: &dyn InboundChat,
    body: &Bytes,
    size: usize,
) {
    let mut reader = provider.stream_decoder(DecodeOptions { mode, ..DecodeOptions::default() });
    let mut writer = client.stream_encoder(&requested(client));
    let (mut events, mut out) = (vec![], BytesMut::new());
    let mut outcome = Ok(());
    for at in (0..body.len()).step_by(size) {
        outcome = reader.read(body.slice(at..body.len().min(at + size)), &mut events);
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| reader.close(&mut events));
    for event in events {
        let ends = event.kind == EventKind::End;
        writer.write(event, &mut out);
        if ends {
            writer.end(&CallSummary::default(), &mut out);
        }
    }
    if let Err(error) = outcome {
        assert_ne!(error.kind, ErrorKind::Internal, "{error}");
        writer.fail(&error, "req", &mut out);
    }
}

/// Binary frames with good checksums, which chance would never find: one for each line, its name and
/// after a blank its payload, with `!` before the name of an exception.
fn frames(text: &[u8]) -> Bytes {
    let mut bytes = vec![];
    for line in text.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
        let at = line.iter().position(|it| *it == b' ').unwrap_or(line.len());
        let (name, payload) = line.split_at(at);
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let (kind, named, name) = match name.strip_prefix('!') {
            Some(name) => ("exception", ":exception-type", name),
            None => ("event", ":event-type", name),
        };
        let header = |key: &'static str, value: &str| {
            Header::new(key, HeaderValue::String(value.to_owned().into()))
        };
        let message = Message::new(Bytes::copy_from_slice(payload))
            .add_header(header(":message-type", kind))
            .add_header(header(named, name));
        drop(write_message_to(&message, &mut bytes));
    }
    bytes.into()
}

fn requested(client: &dyn InboundChat) -> GatewayRequest {
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    request.wants_usage = true;
    request
}
