//! Endpoints whose requests and responses only pass through: audio, images, moderation, reranking.
//!
//! Of a request the gateway reads and writes the model; of a JSON response it reads the usage. Anything
//! else, such as audio, keeps its bytes and its media type. Sources: OpenAI's API reference of these
//! endpoints, and for reranking those of Cohere (`/v2/rerank`) and Jina (`/v1/rerank`), whose requests
//! have the same members; seen 2026-11.

use bytes::{BufMut, Bytes, BytesMut};
use canonical::{
    CallSummary, CanonicalRequest, Error, ErrorKind, EventBody, EventKind, Field, GatewayResponse,
    ResponseBody, Result, StreamEvent, Task, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Format, GatewayRequest, Inbound, Outbound,
    OutboundText, OutputMembers, RawObject, StreamDecoder, StreamEncoder, bounded_tokens,
    error_body, json,
    multipart::Form,
    openai::{chat, responses},
};

/// An endpoint whose requests and responses pass through.
#[derive(Clone, Copy, Debug)]
pub struct Opaque {
    format: &'static Format,
    task: Task,
    body: BodyForm,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyForm {
    /// A JSON object.
    Json,
    /// A form with files.
    Form,
}

/// `POST /v1/audio/transcriptions`.
pub const TRANSCRIPTIONS: Opaque = Opaque {
    format: &named("openai_transcriptions"),
    task: Task::Transcribe,
    body: BodyForm::Form,
};
/// `POST /v1/audio/translations`.
pub const TRANSLATIONS: Opaque = Opaque {
    format: &named("openai_translations"),
    task: Task::TranslateAudio,
    body: BodyForm::Form,
};
/// `POST /v1/audio/speech`.
pub const SPEECH: Opaque =
    Opaque { format: &named("openai_speech"), task: Task::Speak, body: BodyForm::Json };
/// `POST /v1/images/generations`.
pub const IMAGES: Opaque =
    Opaque { format: &named("openai_images"), task: Task::GenerateImage, body: BodyForm::Json };
/// `POST /v1/images/edits`.
pub const IMAGE_EDITS: Opaque =
    Opaque { format: &named("openai_image_edits"), task: Task::EditImage, body: BodyForm::Form };
/// `POST /v1/moderations`.
pub const MODERATIONS: Opaque =
    Opaque { format: &named("openai_moderations"), task: Task::Moderate, body: BodyForm::Json };
/// `POST /v1/rerank`.
pub const RERANK: Opaque =
    Opaque { format: &named("rerank"), task: Task::Rerank, body: BodyForm::Json };

const fn named(name: &'static str) -> Format {
    let apply_policy = crate::common::request_policy::unchanged;
    let output = OutputMembers::NONE;
    Format { name, decode: only_passed_through, apply_policy, output, passthrough, word }
}

fn word(field: &Field) -> std::borrow::Cow<'static, str> {
    field.openai_chat_name()
}

/// The failure of a request that would have to be translated.
fn only_passed_through(_raw: &RawObject) -> Result<CanonicalRequest> {
    let message = "takes such requests in no format but their own";
    Err(Error::new(ErrorKind::Unsupported, message))
}

impl Opaque {
    /// What requests are for.
    pub(crate) const fn task(&self) -> Task {
        self.task
    }

    /// Reads the few members that the gateway acts on.
    fn read_json(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let stream: Option<bool> = json::read(&raw, "stream", "true or false")?;
        let framing: Option<String> = json::read(&raw, "stream_format", "a string")?;
        let mut request = GatewayRequest::new(self.format, self.task, raw);
        request.model = model.filter(|it| !it.is_empty());
        // Speech has no `stream`: its reference has `stream_format` for the same.
        request.stream = stream == Some(true) || framing.as_deref() == Some("sse");
        Ok(request)
    }

    fn read_form(&self, body: &Bytes) -> Result<GatewayRequest> {
        let form = Form::parse(body)?;
        let model = form.text("model")?.map(str::to_owned);
        let stream = form.text("stream")? == Some("true");
        // A form has no members of JSON.
        let raw = RawObject { body: body.clone(), members: vec![] };
        let mut request = GatewayRequest::new(self.format, self.task, raw);
        request.model = model.filter(|it| !it.is_empty());
        request.stream = stream;
        Ok(request)
    }
}

impl Inbound for Opaque {
    fn format(&self) -> &'static Format {
        self.format
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        match self.body {
            BodyForm::Json => self.read_json(body),
            // Images may be edited by their address, in JSON.
            BodyForm::Form if is_object(&body) => self.read_json(body),
            BodyForm::Form => self.read_form(&body),
        }
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        chat::error::to_client(error, request_id).into()
    }

    /// The media type of a form holds the delimiter of its parts.
    fn passthrough_headers(&self) -> &'static [&'static str] {
        match self.body {
            BodyForm::Json => &[],
            BodyForm::Form => &["content-type"],
        }
    }
}

impl Outbound for Opaque {
    fn name(&self) -> &'static str {
        self.format.name
    }

    fn response(&self, body: Bytes, _options: DecodeOptions) -> Result<GatewayResponse> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct AnyResponse<'a> {
            #[serde(borrow)]
            error: Option<&'a RawValue>,
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }
        let response: AnyResponse<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(ErrorKind::Upstream, "returned a body that is not a JSON object")
                .caused_by(json::unquoted(&error))
        })?;
        // Some servers write an empty error into every response; it is as good as none.
        if let Some(error) = response.error.filter(|it| !matches!(it.get(), "{}" | "\"\"")) {
            return Err(error_body::beside(error, &body));
        }
        let usage = response.usage.and_then(usage);
        Ok(GatewayResponse { body: ResponseBody::Raw(body), usage, facts: None })
    }
}

impl OutboundText for Opaque {
    fn stream_decoder(&self, _options: DecodeOptions) -> Box<dyn StreamDecoder> {
        Box::new(BytesDecoder)
    }
}

/// Whether a body is a JSON object rather than a form, which begins with its delimiter.
fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

/// Passes a request on with the provider's name for the model.
fn passthrough(request: &GatewayRequest, options: &EncodeOptions<'_>) -> Result<EncodedRequest> {
    let body = if options.model.is_empty() {
        // The choice is left to the provider.
        request.raw.body.clone()
    } else if is_object(&request.raw.body) {
        let mut edits = json::Edits::new(&request.raw);
        edits.set("model", json::quoted(options.model));
        edits.apply()
    } else {
        Form::parse(&request.raw.body)?.with_text("model", options.model)
    };
    Ok(EncodedRequest { body, headers: request.headers.clone(), dropped: vec![] })
}

/// An encoder for a response that passes through.
pub(crate) fn stream_encoder() -> Box<dyn StreamEncoder> {
    Box::new(BytesEncoder)
}

/// The usage in the words of chat, of Responses, or of Jina, who tells a total alone.
fn usage(json: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Total {
        total_tokens: Option<u64>,
    }
    chat::usage(json).or_else(|| responses::usage(json)).or_else(|| {
        let total: Total = serde_json::from_str(json.get()).ok()?;
        Some(Usage { input: bounded_tokens(Some(total.total_tokens?)), ..Usage::default() })
    })
}

/// Passes bytes as they come.
#[derive(Debug)]
struct BytesDecoder;

impl StreamDecoder for BytesDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if !bytes.is_empty() {
            events.push(StreamEvent::frame(EventKind::Content, None, bytes));
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        events.push(StreamEvent::frame(EventKind::End, None, Bytes::new()));
        Ok(())
    }
}

/// Writes bytes as they come.
#[derive(Debug)]
struct BytesEncoder;

impl StreamEncoder for BytesEncoder {
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        if let EventBody::Frame(frame) = event.body {
            out.put(frame);
        }
    }

    fn end(&mut self, _summary: &CallSummary, _out: &mut BytesMut) {}

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        out.put_slice(b"event: error\ndata: ");
        out.put_slice(&chat::error::to_client(error, request_id));
        out.put_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_has_three_forms() {
        for (json, input, output) in [
            (r#"{"prompt_tokens":3,"completion_tokens":2}"#, 3, 2),
            (r#"{"input_tokens":3,"output_tokens":2,"total_tokens":5}"#, 3, 2),
            (r#"{"total_tokens":3}"#, 3, 0),
            (r#"{"total_tokens":18446744073709551615}"#, 1 << 40, 0),
        ] {
            let usage = usage(serde_json::from_str(json).unwrap()).unwrap();
            assert_eq!((usage.all_input(), usage.all_output()), (input, output), "{json}");
        }
        assert_eq!(
            usage(serde_json::from_str(r#"{"type":"duration","seconds":3}"#).unwrap()),
            None
        );
    }

    #[test]
    fn an_object_without_members_is_no_form() {
        for endpoint in [MODERATIONS, IMAGE_EDITS] {
            let request = endpoint.decode(Bytes::from_static(b" {}")).unwrap();
            let options = EncodeOptions { model: "m", ..EncodeOptions::default() };
            let encoded = Outbound::passthrough(&endpoint, &request, &options).unwrap();
            assert_eq!(encoded.body, r#" {"model":"m"}"#);
        }
    }

    #[test]
    fn a_form_names_one_model() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n";
        let error = TRANSCRIPTIONS.decode(format!("{part}{part}--b--\r\n").into()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("model"));
    }

    #[test]
    fn an_error_within_a_success_is_one() {
        let body = Bytes::from_static(br#"{"error":{"message":"no","code":500}}"#);
        assert!(MODERATIONS.response(body, DecodeOptions::default()).is_err());
        let body = Bytes::from_static(b"<html>");
        assert!(RERANK.response(body, DecodeOptions::default()).is_err());
    }
}
