//! The format of a client: requests decoded, responses and errors encoded.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, Error, Result, Task, Usage};
use serde_json::value::RawValue;

use super::{
    FORMAT, Gemini, error, response_encode,
    stream_encode::Encoder,
    wire::members::{self, Many},
};
use crate::{
    Format, Framing, GatewayRequest, Inbound, InboundChat, RawObject, StreamEncoder, json,
};

impl Inbound for Gemini {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        check_contents(&raw)?;
        let has_tools_and_format = has_functions(&raw)? && has_format(&raw)?;
        let mut request = GatewayRequest::new(&FORMAT, Task::Chat, raw);
        request.has_tools_and_format = has_tools_and_format;
        // Usage is part of every stream of this format.
        request.wants_usage = true;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        error::to_client(error, request_id).into()
    }
}

impl InboundChat for Gemini {
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        response_encode::encode(response, usage, summary).into()
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(Encoder::new(request))
    }

    /// `google-genai` takes a comment for JSON, so only an empty line is nothing to it.
    fn keep_alive(&self, _: Framing) -> &'static [u8] {
        b"\n"
    }

    /// Google's clients take a comment for JSON, or for the beginning of the next event.
    fn takes_comments(&self) -> bool {
        false
    }
}

fn check_contents(raw: &RawObject) -> Result<()> {
    let wanted = "a list of contents, each an object with `parts`";
    let Some(contents) = json::find(raw, "contents")? else {
        let message = format!("`contents` is missing; it must be {wanted}.");
        return Err(Error::invalid("contents", message));
    };
    let contents = json::text(&raw.body, &contents.value);
    // Google takes a single one without its list.
    // By the first bytes, because contents may be megabytes.
    let first = contents.trim_start_matches(['[', ' ', '\t', '\r', '\n']).bytes().next();
    match first {
        Some(b'{') => Ok(()),
        Some(b']') => {
            Err(Error::invalid("contents", "`contents` is empty; at least one is needed."))
        }
        _ => Err(Error::invalid("contents", format!("`contents` must be {wanted}."))),
    }
}

fn has_functions(raw: &RawObject) -> Result<bool> {
    let wanted = "a list of tools, each an object";
    let tools: Option<Many<json::Object<'_>>> = json::read(raw, "tools", wanted)?;
    let has = |it: &json::Object<'_>| {
        let functions = members::either(it, "functionDeclarations");
        functions.is_some_and(|it| it.get() != "[]")
    };
    Ok(tools.is_some_and(|it| it.0.iter().any(has)))
}

/// Whether the response must have another form than plain text.
fn has_format(raw: &RawObject) -> Result<bool> {
    let name = members::spelled(raw, "generationConfig");
    let config: Option<json::Object<'_>> = json::read(raw, &name, "an object")?;
    let config = config.unwrap_or_default();
    let kind = members::either(&config, "responseMimeType").map_or("", RawValue::get);
    let schemas = ["responseSchema", "responseJsonSchema"];
    Ok(!matches!(kind, "" | "\"text/plain\"")
        || schemas.iter().any(|it| members::either(&config, it).is_some()))
}
