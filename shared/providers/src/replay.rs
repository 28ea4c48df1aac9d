//! Responses that were kept: a provider's bytes, decoded again for another request.

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use formats::{DecodeMode, GatewayRequest, ProviderFormat, ToolNames};
use http::HeaderMap;

use crate::{
    Upstream, UpstreamBody,
    response::{self, ResponseContext},
};

/// A whole response as its provider sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The name of the wire format.
    pub format: String,
    /// The bytes: one JSON object, or every frame of a stream.
    pub body: Bytes,
}

impl Upstream {
    /// Decodes a kept response in the form that a request asks for: whole or streamed, in any format.
    /// Fails where its provider is no longer in the configuration.
    pub async fn replay(
        &self,
        kept: &KeptResponse,
        request: &GatewayRequest,
    ) -> Result<UpstreamBody> {
        let gone = || Error::new(ErrorKind::Upstream, "is no longer in the configuration");
        let endpoint = self.endpoint(&kept.provider).ok_or_else(gone)?;
        let format = endpoint.format(&kept.format).ok_or_else(gone)?;
        let is_same_format = format.outbound().name() == request.format.name;
        let (mode, tool_names) = if is_same_format {
            (DecodeMode::Passthrough, ToolNames::default())
        } else {
            let names = match format {
                ProviderFormat::Chat(format) => {
                    // Names were shortened for the provider by rules alone, so that they can be
                    // restored from the request.
                    ToolNames::of(request.canonical()?.conversation()?, format)
                }
                _ => ToolNames::default(),
            };
            (DecodeMode::Translate, names)
        };
        let context = ResponseContext {
            provider: &kept.provider,
            model: &kept.model,
            endpoint,
            format,
            request,
            mode,
            tool_names,
            idle_timeout: self.idle_timeout(),
            memory: self.memory(),
            keep: None,
        };
        let body = reqwest::Body::from(kept.body.clone());
        response::decode(context, &HeaderMap::new(), body).await.map(|decoded| decoded.body)
    }
}
