//! To a provider that speaks OpenAI chat, and back.

use bytes::Bytes;
use canonical::{Content, Error, Kind, Meaning, Request, Response, ResponseBody, Result};

use super::{
    FORMAT, OpenAiChat, answer, encode, forward, pieces::PieceReader, reader::Reader, wire,
};
use crate::{
    Encoded, EventReader, Outbound, Purpose, Reading, Target, bound::Bounded, fault, json,
};

impl Outbound for OpenAiChat {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        forward::forward(request, target)
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
