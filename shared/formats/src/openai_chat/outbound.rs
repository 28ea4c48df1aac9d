//! To a provider that speaks OpenAI chat, and back.

use bytes::Bytes;
use canonical::{Error, Kind, Meaning, Request, Response, ResponseBody, Result};

use super::{FORMAT, OpenAiChat, reader::Reader, wire};
use crate::{Encoded, EventReader, Outbound, Reading, StreamUsage, Target, fault, json};

impl Outbound for OpenAiChat {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
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
        let dropped = target.without.iter().filter(|it| edits.remove(&it.plain())).cloned();
        let dropped = dropped.collect();
        Ok(Encoded { body: edits.apply(), headers: vec![], dropped })
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        let _ = (meaning, target);
        Err(Error::new(Kind::Inexpressible, "no other format is spoken yet"))
    }

    fn response(&self, body: Bytes, _reading: Reading) -> Result<Response> {
        let answer: wire::Answer<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(Kind::Upstream, "it answered what is not a chat completion")
                .caused_by(json::unquoted(&error))
        })?;
        if let Some(error) = answer.error {
            return Err(fault::inside_success(error));
        }
        let choices = answer.choices.unwrap_or_default();
        if choices.count == 0 {
            return Err(Error::new(Kind::Upstream, "it answered without any choice"));
        }
        if choices.failed {
            return Err(Error::new(Kind::Upstream, "it gave up: finish reason `error`"));
        }
        let usage = answer.usage.and_then(wire::usage);
        Ok(Response { body: ResponseBody::Raw(body), usage })
    }

    fn reader(&self, reading: Reading) -> Box<dyn EventReader> {
        Box::new(Reader::new(reading.end))
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        fault::from_status(status, body)
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
