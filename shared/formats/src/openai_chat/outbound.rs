//! To a provider that speaks OpenAI chat, and back.

use bytes::Bytes;
use canonical::{Error, Kind, Request, Response, Result};

use super::{OpenAiChat, error, reader::Reader, wire};
use crate::{Encoded, EventReader, Outbound, StreamEnd, StreamUsage, Target, json};

impl Outbound for OpenAiChat {
    fn encode(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        let mut edits = json::Edits::new(&request.raw);
        let model = serde_json::to_string(target.model).map_err(|error| {
            Error::new(Kind::Internal, "The model's name cannot be written.").caused_by(error)
        })?;
        edits.set("model", model);
        match target.stream_usage {
            StreamUsage::Asked if request.stream && !request.wants_usage => {
                edits.set("stream_options", with_usage(request)?);
            }
            StreamUsage::Asked => {}
            // It reports its usage anyway, so nothing is lost.
            StreamUsage::Always => {
                edits.remove("stream_options");
            }
        }
        let dropped = target.without.iter().copied().filter(|it| edits.remove(it)).collect();
        Ok(Encoded { body: edits.apply(), dropped })
    }

    fn response(&self, body: Bytes) -> Result<Response> {
        let answer: wire::Answer<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(Kind::Upstream, "it answered what is not a chat completion")
                .caused_by(json::unquoted(&error))
        })?;
        if let Some(fault) = answer.error {
            return Err(error::inside_success(fault));
        }
        let choices = answer.choices.unwrap_or_default();
        if choices.count == 0 {
            return Err(Error::new(Kind::Upstream, "it answered without any choice"));
        }
        if choices.failed {
            return Err(Error::new(Kind::Upstream, "it gave up: finish reason `error`"));
        }
        let usage = answer.usage.and_then(wire::usage);
        Ok(Response { raw: body, usage })
    }

    fn reader(&self, end: StreamEnd) -> Box<dyn EventReader> {
        Box::new(Reader::new(end))
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error::from_status(status, body)
    }
}

/// The client's stream options with usage switched on.
fn with_usage(request: &Request) -> Result<String> {
    let ours = r#"{"include_usage":true}"#;
    let Some(member) = json::find(&request.raw, "stream_options")? else {
        return Ok(ours.to_owned());
    };
    let theirs = json::text(&request.raw.body, &member.value);
    if theirs == "null" {
        return Ok(ours.to_owned());
    }
    let options = json::members(Bytes::copy_from_slice(theirs.as_bytes()))?;
    let mut edits = json::Edits::new(&options);
    edits.set("include_usage", "true");
    Ok(String::from_utf8_lossy(&edits.apply()).into_owned())
}
