//! What a case comes to, as a text that a reviewer can read.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use canonical::{
    AttemptRecord, CallSummary, Error, EventBody, EventKind, Field, MicroDollars, ModelFacts,
    Origin, Outcome, Result, StreamEvent, Task, Usage,
};
use formats::{
    ChatCompatibility, ClientFormat, DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest,
    GatewayRequest, InboundChat, OutboundChat, OutboundText, RawObject, StreamEnd, StreamUsage,
    ToolNames, from_provider,
};

use super::{inbound, outbound};

/// The provider's name for the model, in every case.
const MODEL: &str = "provider/model";
/// The facts about the model, in every case.
static FACTS: LazyLock<ModelFacts> =
    LazyLock::new(|| ModelFacts { max_output: Some(4096), ..ModelFacts::UNKNOWN });
/// The name of every case's call.
const REQUEST_ID: &str = "req_golden";

/// What is decoded of a request, and what each sort of provider is sent.
pub(crate) fn request(client: &'static dyn InboundChat, input: &[u8]) -> String {
    let request = match client.decode(Bytes::copy_from_slice(input)) {
        Ok(request) => request,
        Err(error) => return refusal(client, &error),
    };
    let mut text = format!(
        "model: {:?}\nstream: {}\nwants_usage: {}\nhas_tools_and_format: {}\n",
        request.model, request.stream, request.wants_usage, request.has_tools_and_format
    );
    for (format, provider) in outbound() {
        let pair = Pair { client, provider, request: &request };
        if provider.name() == client.format().name {
            pair.passed_through(&mut text);
        }
        section(
            &mut text,
            &format!("translated to a request of {}", format.folder),
            &pair.translated(),
        );
    }
    text
}

/// A client's request on its way to a provider.
struct Pair<'a> {
    client: &'a dyn InboundChat,
    provider: &'a dyn OutboundChat,
    request: &'a GatewayRequest,
}

impl Pair<'_> {
    /// What a provider of the same format is sent.
    fn passed_through(&self, text: &mut String) {
        let plain = self.sent(StreamUsage::OnRequest, &[]);
        section(text, "sent", &plain);
        let unasked = self.sent(StreamUsage::Always, &[]);
        if unasked != plain {
            section(text, "sent where usage is reported unasked", &unasked);
        }
        if self.request.has_tools_and_format {
            let policies: [&[Field]; 2] = [
                &[Field::ResponseFormat],
                &[Field::Tools, Field::ToolChoice, Field::ParallelToolCalls],
            ];
            for without in policies {
                let left = self.sent(StreamUsage::OnRequest, without);
                section(text, &format!("sent without {}", self.names(without)), &left);
            }
        }
    }

    fn sent(&self, stream_usage: StreamUsage, without: &[Field]) -> String {
        let target = self.target(stream_usage, without);
        self.shown(self.request.passthrough(&target))
    }

    /// What a provider of another format is sent.
    fn translated(&self) -> String {
        match self.request.canonical() {
            Ok(canonical) => {
                let other = canonical.unmapped_fields().join(", ");
                let target = self.target(StreamUsage::OnRequest, &[]);
                let conversation = canonical.conversation().unwrap();
                let names = ToolNames::of(conversation, self.provider);
                let conversation = names.rename(conversation.clone());
                let sent = self.shown(self.provider.encode(&conversation, &target));
                if other.is_empty() { sent } else { format!("unsupported: {other}\n{sent}") }
            }
            Err(error) => refusal(self.client, &error),
        }
    }

    fn target<'t>(&self, stream_usage: StreamUsage, without: &'t [Field]) -> EncodeOptions<'t> {
        let stream = self.request.stream;
        EncodeOptions {
            model: MODEL,
            stream,
            stream_usage,
            facts: &FACTS,
            drop_fields: without,
            compatibility: ChatCompatibility { developer_role: true, ..ChatCompatibility::COMMON },
            ..EncodeOptions::default()
        }
    }

    fn shown(&self, encoded: Result<EncodedRequest>) -> String {
        match encoded {
            Ok(EncodedRequest { body, headers, dropped }) => {
                let mut text = String::new();
                if !dropped.is_empty() {
                    text.push_str(&format!("dropped: {}\n", self.names(&dropped)));
                }
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\n"));
                }
                text + &lossy(&body)
            }
            Err(error) => refusal(self.client, &error),
        }
    }

    /// The client's words for fields.
    fn names(&self, fields: &[Field]) -> String {
        fields.iter().map(self.request.format.word).collect::<Vec<_>>().join(", ")
    }
}

/// A decoded response, and its encoding for each kind of client.
pub(crate) fn response(provider: &dyn OutboundText, input: &[u8]) -> String {
    let read = |purpose| {
        let reading = DecodeOptions { mode: purpose, ..DecodeOptions::default() };
        provider.response(Bytes::copy_from_slice(input), reading)
    };
    let mut text = String::new();
    match read(DecodeMode::Translate) {
        Ok(response) => {
            text.push_str(&format!("usage: {}\n", usage(response.usage.as_ref())));
        }
        Err(error) => return failure(provider, error),
    }
    for (format, client) in inbound() {
        let mut to = |purpose, how: &str| {
            let answer =
                ClientFormat::Chat(client).encode(&read(purpose).unwrap(), &summary(), None);
            section(&mut text, &format!("{how} to a client of {}", format.folder), &lossy(&answer));
        };
        if client.format().name == provider.name() {
            to(DecodeMode::Passthrough, "passed through");
        }
        to(DecodeMode::Translate, "translated");
    }
    text
}

/// What is decoded of a stream, and what each sort of client gets, whether it wants usage or not.
pub(crate) fn stream(provider: &dyn OutboundText, input: &[u8]) -> String {
    let mut text = String::new();
    for (purpose, title) in [(DecodeMode::Passthrough, "events"), (DecodeMode::Translate, "deltas")]
    {
        let reading = |end| DecodeOptions { mode: purpose, end };
        let (read, fault) = read(provider, &[input], reading(StreamEnd::Terminator));
        section(&mut text, title, &described(&read, fault.as_ref()));
        let (tolerated, fault) = self::read(provider, &[input], reading(StreamEnd::FinishReason));
        if tolerated.len() != read.len() {
            let lenient = described(&tolerated, fault.as_ref());
            section(&mut text, &format!("{title} where the terminator may be missing"), &lenient);
        }
    }
    for (format, client) in inbound() {
        let mut to = |purpose, how: &str| {
            let to = |wants_usage| streamed((provider, purpose), client, wants_usage, input);
            let (wanting, silent) = (to(true), to(false));
            let title = format!("{how} to a client of {}", format.folder);
            section(&mut text, &title, &wanting);
            if silent != wanting {
                section(&mut text, &format!("{title} that wants no usage"), &silent);
            }
        };
        if client.format().name == provider.name() {
            to(DecodeMode::Passthrough, "passed through");
        }
        to(DecodeMode::Translate, "translated");
    }
    text
}

/// What a client gets of a stream.
fn streamed(
    (provider, purpose): (&dyn OutboundText, DecodeMode),
    client: &dyn InboundChat,
    wants_usage: bool,
    input: &[u8],
) -> String {
    let (events, fault) =
        read(provider, &[input], DecodeOptions { mode: purpose, ..DecodeOptions::default() });
    let mut writer = client.stream_encoder(&streaming_request(client, wants_usage));
    let mut out = BytesMut::new();
    for event in events {
        let ends = event.kind == EventKind::End;
        writer.write(event, &mut out);
        if ends {
            writer.end(&summary(), &mut out);
        }
    }
    if let Some(fault) = fault {
        writer.fail(&named(fault), REQUEST_ID, &mut out);
    }
    lossy(&out)
}

/// What is decoded of a failure: the first line of the input is its status, the rest after an
/// empty line its body.
pub(crate) fn error(provider: &dyn OutboundText, input: &[u8]) -> String {
    let text = std::str::from_utf8(input).unwrap();
    let (status, body) = text.split_once("\n\n").unwrap();
    let error = from_provider(status.trim().parse().unwrap(), None, body.as_bytes());
    failure(provider, error)
}

/// The events of a stream that arrives in these chunks, and the error that ends it.
pub(crate) fn events(
    provider: &dyn OutboundText,
    purpose: DecodeMode,
    slices: &[&[u8]],
) -> (Vec<StreamEvent>, Option<String>) {
    let (events, fault) =
        read(provider, slices, DecodeOptions { mode: purpose, ..DecodeOptions::default() });
    (events, fault.map(|it| it.to_string()))
}

fn read(
    provider: &dyn OutboundText,
    slices: &[&[u8]],
    reading: DecodeOptions,
) -> (Vec<StreamEvent>, Option<Error>) {
    let mut reader = provider.stream_decoder(reading);
    let mut events = vec![];
    let mut read_all = || -> Result<()> {
        for slice in slices {
            reader.read(Bytes::copy_from_slice(slice), &mut events)?;
        }
        reader.close(&mut events)
    };
    let fault = read_all().err();
    (events, fault)
}

fn described(events: &[StreamEvent], fault: Option<&Error>) -> String {
    let mut lines: Vec<String> = vec![];
    for event in events {
        let usage = event.usage.as_ref().map(|it| format!(" ({})", usage(Some(it))));
        let slice = match &event.body {
            EventBody::Frame(_) => String::new(),
            EventBody::Delta(choice, slice) => format!(" {choice} {slice:?}"),
        };
        lines.push(format!("{:?}{}{slice}", event.kind, usage.unwrap_or_default()));
    }
    lines.extend(fault.map(|it| format!("error: {:?}: {}", it.kind, it.message())));
    lines.join("\n")
}

/// What is decoded of a provider's failure, and what a client reads of it.
fn failure(provider: &dyn OutboundText, error: Error) -> String {
    let wait = error.retry_after.map_or("none".to_owned(), |it| format!("{it:?}"));
    let mut text = format!(
        "kind: {:?}\ntry_next: {}\nprovider_status: {:?}\nretry_after: {wait}\n",
        error.kind,
        error.kind.advances(),
        error.provider_status
    );
    let error = named(error);
    text.push_str(&format!("status: {}\n", error.status()));
    for (format, client) in inbound() {
        let same = client.format().name == provider.name();
        let title = if same { "to a client of the same format" } else { format.folder };
        section(&mut text, title, &lossy(&client.error(&error, REQUEST_ID)));
    }
    text
}

/// What a client reads of a failure.
fn refusal(client: &dyn InboundChat, error: &Error) -> String {
    let mut text = format!("status: {}\n", error.status());
    section(&mut text, "to the client", &lossy(&client.error(error, REQUEST_ID)));
    text
}

fn named(error: Error) -> Error {
    error.from_origin(Origin::Provider("upstream".to_owned()))
}

fn section(text: &mut String, title: &str, body: &str) {
    text.push_str(&format!("\n== {title}\n{}\n", body.trim_end_matches('\n')));
}

fn usage(usage: Option<&Usage>) -> String {
    let Some(usage) = usage else { return "none".to_owned() };
    let classes = [
        ("input", usage.input),
        ("cached_input", usage.cached_input),
        ("cache_write", usage.cache_write),
        ("input_audio", usage.input_audio),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
        ("output_audio", usage.output_audio),
    ];
    let counted = classes.iter().filter(|it| 0 < it.1);
    counted.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn streaming_request(client: &dyn InboundChat, wants_usage: bool) -> GatewayRequest {
    let raw = RawObject { body: Bytes::new(), members: vec![] };
    let mut request = GatewayRequest::new(client.format(), Task::Chat, raw);
    request.stream = true;
    request.arrived = 1_760_000_000_000;
    request.wants_usage = wants_usage;
    request
}

/// How every case's call went.
fn summary() -> CallSummary {
    CallSummary {
        provider: "upstream".to_owned(),
        model: MODEL.to_owned(),
        route: None,
        arrived: 1_760_000_000_000,
        latency_ms: 12,
        cost: Some(MicroDollars(345)),
        cache_hit: false,
        saved: None,
        request_id: REQUEST_ID.to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        attempts: vec![AttemptRecord {
            provider: "upstream".to_owned(),
            model: MODEL.to_owned(),
            outcome: Outcome::Success,
            status: Some(200),
            duration_ms: 11,
            message: None,
            ..AttemptRecord::default()
        }],
    }
}
