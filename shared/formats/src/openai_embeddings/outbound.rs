//! To a provider that speaks OpenAI embeddings, and back.

use bytes::Bytes;
use canonical::{Error, Kind, Meaning, Request, Response, ResponseBody, Result};

use super::{FORMAT, OpenAiEmbeddings, wire};
use crate::{Encoded, EventReader, Outbound, Purpose, Reading, Target, fault, json, unstreamed};

impl Outbound for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(&self, request: &Request, target: &Target<'_>) -> Result<Encoded> {
        let mut edits = json::Edits::new(&request.raw);
        edits.set("model", json::quoted(target.model));
        Ok(Encoded { body: edits.apply(), ..Encoded::default() })
    }

    fn encode(&self, meaning: &Meaning, target: &Target<'_>) -> Result<Encoded> {
        let (question, dropped) = wire::question(meaning.embedding()?, target.model);
        let body = json::written(&question).into();
        Ok(Encoded { body, headers: vec![], dropped })
    }

    fn response(&self, body: Bytes, reading: Reading) -> Result<Response> {
        let answer: wire::Answer<'_> =
            serde_json::from_slice(&body).map_err(|it| wire::unreadable(&it))?;
        if let Some(error) = answer.error {
            return Err(fault::inside_success(error));
        }
        let without = || Error::new(Kind::Upstream, "it answered without any embedding");
        let data = answer.data.ok_or_else(without)?;
        if wire::count(data)? == 0 {
            return Err(without());
        }
        let usage = answer.usage.and_then(wire::usage);
        let body = match reading.purpose {
            Purpose::Translate => ResponseBody::Vectors(wire::vectors(data)?),
            Purpose::Forward => ResponseBody::Raw(body.clone()),
        };
        Ok(Response { body, usage })
    }

    fn reader(&self, _reading: Reading) -> Box<dyn EventReader> {
        Box::new(unstreamed::NoReader)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        fault::from_status(status, body)
    }
}
