//! A request that is passed on to a provider of the same format: the client's bytes, changed only
//! where this provider would not take them.

use canonical::{Field, Result};

use crate::{EncodeOptions, EncodedRequest, GatewayRequest, StreamUsage, json, openai::chat};

/// The client's request as this provider takes it.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let mut edits = json::Edits::new(&request.raw);
    edits.set("model", json::quoted(target.model));
    let reports_unasked = target.stream_usage == StreamUsage::Always;
    let rejects_option = target.drop_fields.contains(&Field::StreamUsage);
    if reports_unasked || rejects_option {
        edits.remove("stream_options");
    } else if request.stream && !request.wants_usage {
        edits.set("stream_options", chat::with_usage(request)?);
    }
    let mut dropped = vec![];
    for field in target.drop_fields {
        if edits.remove(&field.openai_chat_name()) && !field.is_lossless() {
            dropped.push(field.clone());
        }
    }
    Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
}
