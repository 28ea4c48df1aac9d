//! To a provider that speaks OpenAI Responses, and back.

use bytes::Bytes;
use canonical::{Error, Meaning, Request, Response, Result};

use super::{FORMAT, OpenAiResponses, answer, encode, forward, reader::Reader};
use crate::{Encoded, EventReader, Outbound, Reading, Target, bound, fault};

impl Outbound for OpenAiResponses {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        forward::forward(request, target)
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        encode::encode(meaning.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: Reading) -> Result<Response> {
        answer::read(body, reading.purpose)
    }

    fn reader(&self, reading: Reading) -> Box<dyn EventReader> {
        bound::reader(Reader::new(reading.purpose), reading.purpose)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        fault::from_status(status, body)
    }
}
