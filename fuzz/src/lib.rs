//! What the fuzz targets share: every format, chosen by the first byte of the input.

use bytes::{Bytes, BytesMut};
use canonical::{EventKind, Raw, Request, Summary, Task};
use formats::{
    Inbound, MaxTokensName, Outbound, Purpose, Reading, StreamUsage, Target,
    anthropic::{Anthropic, AnthropicCount},
    gemini::{Gemini, GeminiCount},
    openai_chat::OpenAiChat,
    openai_responses::OpenAiResponses,
};

/// Formats that clients speak.
pub const INBOUND: &[&dyn Inbound] = &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini, &AnthropicCount, &GeminiCount];
/// Formats that providers speak.
pub const OUTBOUND: &[&dyn Outbound] = &[&OpenAiChat, &OpenAiResponses, &Anthropic, &Gemini];

/// One of a list, and the rest of the input.
fn choose<'a, T: ?Sized>(list: &[&'static T], input: &'a [u8]) -> Option<(&'static T, &'a [u8])> {
    let (first, rest) = input.split_first()?;
    Some((list[usize::from(*first) % list.len()], rest))
}

/// Reads a request and writes it for every provider.
pub fn request(input: &[u8]) {
    let Some((client, body)) = choose(INBOUND, input) else { return };
    let Ok(request) = client.decode(Bytes::copy_from_slice(body)) else { return };
    for provider in OUTBOUND {
        let target = Target {
            model: "model",
            stream: request.stream,
            stream_usage: StreamUsage::Asked,
            max_tokens_name: MaxTokensName::Plain,
            max_output: None,
            without: &[],
        };
        if provider.name() == client.format().name {
            drop(provider.forward(&request, &target));
        }
        if let Ok(meaning) = request.meaning() {
            drop(provider.encode(meaning, &target));
        }
    }
}

/// Reads a whole answer and a failure, and writes them for every client.
pub fn answer(input: &[u8]) {
    let Some((provider, body)) = choose(OUTBOUND, input) else { return };
    drop(provider.error(400, body));
    for purpose in [Purpose::Forward, Purpose::Translate] {
        let reading = Reading { purpose, ..Reading::default() };
        let Ok(response) = provider.response(Bytes::copy_from_slice(body), reading) else { return };
        for client in INBOUND {
            if purpose == Purpose::Translate || client.format().name == provider.name() {
                drop(client.encode(&response, &Summary::default()));
            }
        }
    }
}

/// Reads a stream in pieces whose size the second byte says, and writes it for every client.
pub fn stream(input: &[u8]) {
    let Some((provider, rest)) = choose(OUTBOUND, input) else { return };
    let Some((size, body)) = rest.split_first() else { return };
    for client in INBOUND {
        let reading = Reading { purpose: Purpose::Translate, ..Reading::default() };
        let mut reader = provider.reader(reading);
        let mut writer = client.writer(&asked(*client));
        let (mut events, mut out) = (vec![], BytesMut::new());
        let mut outcome = Ok(());
        for piece in body.chunks(usize::from(*size).max(1)) {
            outcome = reader.read(Bytes::copy_from_slice(piece), &mut events);
            if outcome.is_err() {
                break;
            }
        }
        let outcome = outcome.and_then(|()| reader.close(&mut events));
        for event in events {
            let ends = event.kind == EventKind::End;
            writer.write(event, &mut out);
            if ends {
                writer.end(&Summary::default(), &mut out);
            }
        }
        if let Err(error) = outcome {
            writer.fail(&error, "req", &mut out);
        }
    }
    let mut reader = provider.reader(Reading::default());
    let mut events = vec![];
    if reader.read(Bytes::copy_from_slice(body), &mut events).is_ok() {
        drop(reader.close(&mut events));
    }
}

fn asked(client: &dyn Inbound) -> Request {
    let raw = Raw { body: Bytes::new(), members: vec![] };
    let mut request = Request::new(client.format(), Task::Converse, raw);
    request.stream = true;
    request
}
