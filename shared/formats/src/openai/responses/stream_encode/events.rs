//! The events of a stream to a client: their shape, their numbers, and the items that are done.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::super::{
    echo::RequestEcho,
    output::{Annotation, Item, Names, Part, ResponseJson},
};

/// Where events go, and what they count.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) names: Names,
    pub(super) model: String,
    /// When the request arrived, in seconds since 1970.
    pub(super) created: u64,
    /// The members of the request that the response repeats.
    pub(super) echo: Arc<RequestEcho>,
    pub(super) started: bool,
    pub(super) sequence: u64,
    /// The items that are done.
    pub(super) items: Vec<Item>,
}

/// An event and its number.
#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
pub(super) struct OfResponse<'a> {
    pub(super) response: ResponseJson<'a>,
}

#[derive(Serialize)]
pub(super) struct OfItem<'a> {
    pub(super) output_index: usize,
    pub(super) item: &'a Item,
}

/// An event within an item.
#[derive(Default, Serialize)]
pub(super) struct Within<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'a Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<[(); 0]>,
}

impl Stream {
    pub(super) fn send(&mut self, kind: &str, body: impl Serialize, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\ndata: ");
        let event = Envelope { kind, sequence_number: self.sequence, body };
        // Strings and numbers only, into memory: this cannot fail.
        serde_json::to_writer((&mut *out).writer(), &event).unwrap_or_default();
        out.put_slice(b"\n\n");
        self.sequence += 1;
    }

    /// Announces the response, once.
    pub(super) fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let (names, model) = (self.names.clone(), self.model.clone());
        let echo = Arc::clone(&self.echo);
        // Both, as OpenAI sends them.
        for kind in ["response.created", "response.in_progress"] {
            let response = ResponseJson::new(&names.id, &model, self.created, &echo);
            self.send(kind, OfResponse { response }, out);
        }
    }

    pub(super) fn added(&mut self, item: &Item, out: &mut BytesMut) {
        let output_index = self.items.len();
        self.send("response.output_item.added", OfItem { output_index, item }, out);
    }

    pub(super) fn done(&mut self, item: Item, out: &mut BytesMut) {
        let output_index = self.items.len();
        self.send("response.output_item.done", OfItem { output_index, item: &item }, out);
        self.items.push(item);
    }
}

pub(super) fn within<'a>(item_id: &'a str, stream: &Stream) -> Within<'a> {
    Within { item_id, output_index: stream.items.len(), ..Within::default() }
}
