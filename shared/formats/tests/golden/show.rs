//! What a case comes to, as a text that a reviewer can read.

use bytes::{Bytes, BytesMut};
use canonical::{
    Attempt, Error, Event, EventKind, Field, MicroDollars, Origin, Outcome, Raw, Request, Result,
    Summary, Task, Usage,
};
use formats::{Reading, StreamEnd, StreamUsage, Target};

use super::Format;

/// The provider's name for the model, in every case.
const MODEL: &str = "provider/model";
/// The name of every case's call.
const REQUEST_ID: &str = "req_golden";

/// What was understood of a request, and what each sort of provider is sent.
pub(crate) fn request(format: &Format, input: &[u8]) -> String {
    let request = match format.inbound.decode(Bytes::copy_from_slice(input)) {
        Ok(request) => request,
        Err(error) => return refusal(format, &error),
    };
    let mut text = format!(
        "model: {:?}\nstream: {}\nwants_usage: {}\nhas_tools_and_format: {}\n",
        request.model, request.stream, request.wants_usage, request.has_tools_and_format
    );
    let plain = sent(format, &request, StreamUsage::Asked, &[]);
    section(&mut text, "sent", &plain);
    let unasked = sent(format, &request, StreamUsage::Always, &[]);
    if unasked != plain {
        section(&mut text, "sent where usage is reported unasked", &unasked);
    }
    if request.has_tools_and_format {
        let policies: [&[Field]; 2] =
            [&[Field::Output], &[Field::Tools, Field::ToolChoice, Field::ParallelToolCalls]];
        for without in policies {
            let left = sent(format, &request, StreamUsage::Asked, without);
            section(&mut text, &format!("sent without {}", names(&request, without)), &left);
        }
    }
    text
}

fn sent(
    format: &Format,
    request: &Request,
    stream_usage: StreamUsage,
    without: &[Field],
) -> String {
    let stream = request.stream;
    let target = Target { model: MODEL, stream, stream_usage, max_output: Some(4096), without };
    match format.outbound.forward(request, &target) {
        Ok(encoded) if encoded.dropped.is_empty() => lossy(&encoded.body),
        Ok(encoded) => {
            format!("dropped: {}\n{}", names(request, &encoded.dropped), lossy(&encoded.body))
        }
        Err(error) => refusal(format, &error),
    }
}

/// The client's words for fields.
fn names(request: &Request, fields: &[Field]) -> String {
    fields.iter().map(request.format.word).collect::<Vec<_>>().join(", ")
}

/// What was understood of an answer, and what the client gets.
pub(crate) fn response(format: &Format, input: &[u8]) -> String {
    match format.outbound.response(Bytes::copy_from_slice(input), Reading::default()) {
        Ok(response) => {
            let mut text = format!("usage: {}\n", usage(response.usage.as_ref()));
            let answer = format.inbound.encode(&response, &summary());
            section(&mut text, "to the client", &lossy(&answer));
            text
        }
        Err(error) => failure(format, error),
    }
}

/// What was understood of a stream, and what a client gets who wants usage or does not.
pub(crate) fn stream(format: &Format, input: &[u8]) -> String {
    let mut text = String::new();
    let (read, fault) = read(format, &[input], StreamEnd::Terminator);
    section(&mut text, "events", &described(&read, fault.as_ref()));
    let (wanting, silent) = (streamed(format, true, input), streamed(format, false, input));
    section(&mut text, "to a client that wants usage", &wanting);
    if silent != wanting {
        section(&mut text, "to a client that does not", &silent);
    }
    let (tolerated, fault) = self::read(format, &[input], StreamEnd::FinishReason);
    if tolerated.len() != read.len() {
        let lenient = described(&tolerated, fault.as_ref());
        section(&mut text, "events where the terminator may be missing", &lenient);
    }
    text
}

/// What a client gets of a stream.
fn streamed(format: &Format, wants_usage: bool, input: &[u8]) -> String {
    let (events, fault) = read(format, &[input], StreamEnd::Terminator);
    let mut writer = format.inbound.writer(&asked(format, wants_usage));
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

/// What was understood of a failure: the first line of the input is its status, the rest after an
/// empty line its body.
pub(crate) fn error(format: &Format, input: &[u8]) -> String {
    let text = std::str::from_utf8(input).unwrap();
    let (status, body) = text.split_once("\n\n").unwrap();
    let error = format.outbound.error(status.trim().parse().unwrap(), body.as_bytes());
    failure(format, error)
}

/// The events of a stream that arrives in these pieces, and the fault that ends it.
pub(crate) fn events(format: &Format, pieces: &[&[u8]]) -> (Vec<Event>, Option<String>) {
    let (events, fault) = read(format, pieces, StreamEnd::Terminator);
    (events, fault.map(|it| it.to_string()))
}

fn read(format: &Format, pieces: &[&[u8]], end: StreamEnd) -> (Vec<Event>, Option<Error>) {
    let mut reader = format.outbound.reader(Reading { end, ..Reading::default() });
    let mut events = vec![];
    let mut read_all = || -> Result<()> {
        for piece in pieces {
            reader.read(Bytes::copy_from_slice(piece), &mut events)?;
        }
        reader.close(&mut events)
    };
    let fault = read_all().err();
    (events, fault)
}

fn described(events: &[Event], fault: Option<&Error>) -> String {
    let mut lines: Vec<String> = vec![];
    for event in events {
        let usage = event.usage.as_ref().map(|it| format!(" ({})", usage(Some(it))));
        lines.push(format!("{:?}{}", event.kind, usage.unwrap_or_default()));
    }
    lines.extend(fault.map(|it| format!("fault: {:?}: {}", it.kind, it.message())));
    lines.join("\n")
}

/// What was understood of a provider's failure, and what a client reads of it.
fn failure(format: &Format, error: Error) -> String {
    let wait = error.retry_after.map_or("none".to_owned(), |it| format!("{it:?}"));
    let mut text = format!(
        "kind: {:?}\ntry_next: {}\nprovider_status: {:?}\nretry_after: {wait}\n",
        error.kind,
        error.kind.try_next(),
        error.provider_status
    );
    text.push_str(&refusal(format, &named(error)));
    text
}

/// What a client reads of a failure.
fn refusal(format: &Format, error: &Error) -> String {
    let mut text = format!("status: {}\n", error.status());
    section(&mut text, "to the client", &lossy(&format.inbound.error(error, REQUEST_ID)));
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

fn asked(format: &Format, wants_usage: bool) -> Request {
    let raw = Raw { body: Bytes::new(), members: vec![] };
    let mut request = Request::new(format.inbound.format(), Task::Converse, raw);
    request.stream = true;
    request.wants_usage = wants_usage;
    request
}

/// How every case's call went.
fn summary() -> Summary {
    Summary {
        provider: "upstream".to_owned(),
        model: MODEL.to_owned(),
        route: None,
        latency_ms: 12,
        cost: Some(MicroDollars(345)),
        request_id: REQUEST_ID.to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        attempts: vec![Attempt {
            provider: "upstream".to_owned(),
            model: MODEL.to_owned(),
            outcome: Outcome::Success,
            status: Some(200),
            duration_ms: 11,
            message: None,
        }],
    }
}
