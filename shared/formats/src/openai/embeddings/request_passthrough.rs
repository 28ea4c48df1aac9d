//! A request that passes through to a provider of the same format: another model, nothing else.

use canonical::Result;

use crate::{EncodeOptions, EncodedRequest, GatewayRequest, json};

/// The client's bytes with the provider's name for the model.
pub(super) fn passthrough(
    request: &GatewayRequest,
    options: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let mut edits = json::Edits::new(&request.raw);
    edits.set("model", json::quoted(options.model));
    Ok(EncodedRequest { body: edits.apply(), ..EncodedRequest::default() })
}
