//! To a provider that speaks Anthropic Messages, and back.

use bytes::Bytes;
use canonical::{Error, Kind, Meaning, Request, Response, ResponseBody, Result};
use serde::Deserialize;

use super::{
    Anthropic, AnthropicCount, COUNT, FORMAT, clean_up, encode, pieces::Pieces, reader::Reader,
    response,
};
use crate::{Encoded, EventReader, Outbound, Purpose, Reading, Target, fault, json};

impl Outbound for Anthropic {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        clean_up::forward(request, target)
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        encode::converse(meaning.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: Reading) -> Result<Response> {
        response::read(body, reading.purpose)
    }

    fn reader(&self, reading: Reading) -> Box<dyn EventReader> {
        match reading.purpose {
            Purpose::Forward => Box::new(Reader::new(reading.end)),
            Purpose::Translate => Box::new(Pieces::new(reading.end)),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        fault::from_status(status, body)
    }
}

#[derive(Deserialize)]
struct Count {
    input_tokens: Option<u64>,
}

impl Outbound for AnthropicCount {
    fn name(&self) -> &'static str {
        COUNT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        clean_up::forward(request, target)
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        encode::count(meaning.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: Reading) -> Result<Response> {
        let none = || Error::new(Kind::Upstream, "it answered what is not a number of tokens");
        response::fault_within(&body)?;
        let count: Count = serde_json::from_slice(&body)
            .map_err(|error| none().caused_by(json::unquoted(&error)))?;
        let count = count.input_tokens.ok_or_else(none)?;
        let body = match reading.purpose {
            Purpose::Forward => ResponseBody::Raw(body),
            Purpose::Translate => ResponseBody::Tokens { count, estimated: false },
        };
        Ok(Response { body, usage: None })
    }

    fn reader(&self, reading: Reading) -> Box<dyn EventReader> {
        Anthropic.reader(reading)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        Anthropic.error(status, body)
    }
}
