//! To a provider that speaks OpenAI chat, and back.

use bytes::Bytes;
use canonical::{Content, Error, Field, Kind, Meaning, Request, Response, ResponseBody, Result};

use super::{
    FORMAT, OpenAiChat, answer, encode,
    pieces::PieceReader,
    reader::Reader,
    thoughts::{self, Thoughts},
    wire,
};
use crate::{
    Encoded, EventReader, Outbound, Purpose, Reading, StreamUsage, Target, bound::Bounded, fault,
    json, tags,
};

impl Outbound for OpenAiChat {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        let mut edits = json::Edits::new(&request.raw);
        let mut dropped = vec![];
        edits.set("model", json::quoted(target.model));
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
        if (target.unsigned || tags::has(&request.raw.body))
            && let Some(messages) = json::find(&request.raw, "messages")?
        {
            let messages = json::text(&request.raw.body, &messages.value);
            if target.unsigned && messages.contains("reasoning_details") {
                dropped.push(Field::ReasoningText);
            }
            edits.set("messages", thoughts::without_foreign(messages, Thoughts::of(target))?);
        }
        for field in target.without {
            let older = edits.remove(&field.plain());
            if older | (field == &Field::MaxTokens && edits.remove("max_completion_tokens")) {
                dropped.push(field.clone());
            }
        }
        Ok(Encoded { body: edits.apply(), headers: vec![], dropped })
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        encode::encode(meaning.conversation()?, target)
    }

    fn takes_url(&self, part: &Content, _url: &str, _model: &str) -> bool {
        !matches!(part, Content::File(_) | Content::Audio(_))
    }

    fn response(&self, body: Bytes, reading: Reading) -> Result<Response> {
        let answer: wire::Answer<'_> = serde_json::from_slice(&body).map_err(not_one)?;
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
        let body = match reading.purpose {
            Purpose::Forward => ResponseBody::Raw(body),
            Purpose::Translate => ResponseBody::Answer(answer::read(&body).map_err(not_one)?),
        };
        Ok(Response { body, usage })
    }

    fn reader(&self, reading: Reading) -> Box<dyn EventReader> {
        match reading.purpose {
            Purpose::Forward => Box::new(Reader::new(reading.end)),
            Purpose::Translate => Box::new(Bounded::new(PieceReader::new(reading.end))),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        fault::from_status(status, body)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn not_one(error: serde_json::Error) -> Error {
    Error::new(Kind::Upstream, "it answered what is not a chat completion")
        .caused_by(json::unquoted(&error))
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
