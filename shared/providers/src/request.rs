//! A client's request as one provider is sent it.
//!
//! In the same format the client's own bytes pass through; otherwise what they mean is encoded.

use std::borrow::Cow;

use canonical::{CanonicalRequest, Conversation, Error, ErrorKind, Field, Origin, Result};
use config::ConflictResolution;
use formats::{
    DecodeMode, EncodeOptions, EncodedRequest, GatewayRequest, OutboundConversation,
    ProviderFormat, ToolNames,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use routing::{Attempt, Target};

use crate::{
    UpstreamRequest,
    endpoint::Endpoint,
    fetch::{Fetch, FetchContext},
    upstream::TimeLimit,
};

/// A request as one provider is sent it.
pub(crate) struct PreparedRequest {
    pub(crate) encoded: EncodedRequest,
    /// The client's names of the fields that the encoded request lacks.
    pub(crate) dropped: Vec<Cow<'static, str>>,
    /// The names of tools at the provider.
    pub(crate) tool_names: ToolNames,
    /// How the response has to be decoded.
    pub(crate) mode: DecodeMode,
}

/// Prepares a request: the client's own bytes where the formats are the same, else what they mean.
pub(crate) async fn prepare(
    upstream_request: &UpstreamRequest<'_>,
    attempt: &Attempt,
    endpoint: &Endpoint,
    format: ProviderFormat,
    fetch: &Fetch,
) -> Result<PreparedRequest> {
    let (target, request) = (attempt.target(), upstream_request.request);
    let mut without = conflicting_fields(target, request).to_vec();
    without.extend_from_slice(&attempt.remedies.fields);
    let options = EncodeOptions {
        model: &target.model,
        stream: request.stream,
        stream_usage: endpoint.provider.stream_usage,
        compatibility: endpoint.compatibility,
        facts: &target.facts,
        drop_fields: &without,
        drop_signatures: attempt.remedies.signatures,
    };
    let is_same_format = format.outbound().name() == request.format.name;
    // Who has no compaction is asked for a summary, which only a translation does.
    let passes_through = is_same_format
        && upstream_request.continued.is_none()
        && !attempt.remedies.betas
        && !without.contains(&Field::Compaction);

    let prepared = if passes_through {
        format.outbound().passthrough(request, &options).map(PreparedRequest::passed_through)
    } else {
        let translation = Translation { upstream_request, attempt, fetch, options: &options };
        translation.encode(format).await
    };
    let mut prepared = prepared.map_err(|error| match error.kind {
        ErrorKind::InvalidRequest => error,
        // What another target may be able to take.
        _ => error.from_origin(Origin::Provider(target.provider.clone())),
    })?;
    // Betas pass along in the same format alone, so that only there something was taken away.
    if is_same_format && attempt.remedies.betas {
        let betas = request.headers.iter().filter(|header| is_beta(header));
        prepared.dropped.extend(betas.map(|header| Cow::Borrowed(header.0)));
    }
    prepared.name_dropped(request)?;
    // After encoding, which alone knows what the format has no field for.
    if upstream_request.strict && !prepared.dropped.is_empty() {
        return Err(would_drop(&prepared.dropped, &target.provider));
    }
    if upstream_request.decodes && request.stream {
        prepared.mode = DecodeMode::Translate;
    }
    Ok(prepared)
}

impl PreparedRequest {
    fn passed_through(encoded: EncodedRequest) -> Self {
        Self {
            encoded,
            dropped: vec![],
            tool_names: ToolNames::default(),
            mode: DecodeMode::Passthrough,
        }
    }

    /// Names what the encoded request lacks, by the client's names and each name once.
    fn name_dropped(&mut self, request: &GatewayRequest) -> Result<()> {
        let unmapped = match self.mode {
            DecodeMode::Passthrough => &[],
            DecodeMode::Translate => request.canonical()?.unmapped_fields(),
        };
        let unmapped = unmapped.iter().map(|name| Cow::Owned(name.clone()));
        for name in self.encoded.dropped.iter().map(request.format.word).chain(unmapped) {
            if !self.dropped.contains(&name) {
                self.dropped.push(name);
            }
        }
        Ok(())
    }
}

/// A request on its way into a provider's format, which is not the client's.
struct Translation<'a> {
    upstream_request: &'a UpstreamRequest<'a>,
    attempt: &'a Attempt,
    fetch: &'a Fetch,
    options: &'a EncodeOptions<'a>,
}

impl Translation<'_> {
    /// Encodes the request in the format of its task.
    async fn encode(&self, format: ProviderFormat) -> Result<PreparedRequest> {
        let canonical = match self.upstream_request.continued {
            Some(continued) => continued,
            None => self.upstream_request.request.canonical()?,
        };
        let (mut encoded, tool_names) = match format {
            ProviderFormat::Chat(format) => self.conversation(canonical, format).await?,
            ProviderFormat::TokenCount(format) => self.conversation(canonical, format).await?,
            ProviderFormat::Embeddings(format) => {
                (format.encode(canonical.embedding()?, self.options)?, ToolNames::default())
            }
            ProviderFormat::Completions(_)
            | ProviderFormat::Infill(_)
            | ProviderFormat::Compaction(_)
            | ProviderFormat::Opaque(_) => {
                let message = "takes only requests of its own format here";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let removed = self.options.drop_fields.iter().filter(|field| !field.is_lossless());
        encoded.dropped.extend(removed.cloned());
        Ok(PreparedRequest { encoded, dropped: vec![], tool_names, mode: DecodeMode::Translate })
    }

    async fn conversation(
        &self,
        canonical: &CanonicalRequest,
        format: &dyn OutboundConversation,
    ) -> Result<(EncodedRequest, ToolNames)> {
        let mut adapted = adapt(canonical.conversation()?, self.options);
        let tool_names = ToolNames::of(&adapted, format);
        if !tool_names.is_empty() {
            adapted = Cow::Owned(tool_names.rename(adapted.into_owned()));
        }

        let request = self.upstream_request.request;
        let context = FetchContext {
            format,
            facts: self.options.facts,
            word: request.format.word,
            fetched: self.upstream_request.fetched,
            limit: TimeLimit::of(self.attempt, request).duration,
        };
        // After renaming and dropping: media of what is not sent need not be fetched.
        let filled = self.fetch.replace_urls(adapted, &context).await?;
        Ok((format.encode(&filled, self.options)?, tool_names))
    }
}

/// A conversation for one provider: without what the provider has rejected, and within its limits.
fn adapt<'a>(conversation: &'a Conversation, options: &EncodeOptions<'_>) -> Cow<'a, Conversation> {
    let mut adapted = conversation.without_fields(options.drop_fields);
    if options.drop_signatures {
        adapted = Cow::Owned(adapted.into_owned().without_signatures());
    }
    // Some providers count their calls anew in each message, and others refuse that.
    if !adapted.has_unique_call_ids() {
        adapted.to_mut().make_call_ids_unique();
    }
    // A limit above the model's own has no effect, but many providers refuse it.
    if let (Some(requested), Some(max)) = (adapted.max_tokens, options.facts.max_output)
        && max < requested
    {
        adapted.to_mut().max_tokens = Some(max);
    }
    adapted
}

/// Whether a header asks for a beta of an API.
pub(crate) fn is_beta(header: &(&'static str, String)) -> bool {
    header.0.ends_with("-beta")
}

/// Adds the headers that belong to a request.
pub(crate) fn add_headers(given: &[(&'static str, String)], headers: &mut HeaderMap) -> Result<()> {
    for (name, value) in given {
        let value = HeaderValue::from_str(value).map_err(|error| {
            let message = format!("The header `{name}` must be plain text.");
            Error::invalid(name, message).caused_by(error)
        })?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// The fields that a target's conflict resolution removes from a request with both tools and a format.
fn conflicting_fields(target: &Target, request: &GatewayRequest) -> &'static [Field] {
    if !request.has_tools_and_format {
        return &[];
    }
    match target.conflict_resolution {
        Some(ConflictResolution::Tools) => &[Field::ResponseFormat],
        Some(ConflictResolution::Format) => {
            &[Field::Tools, Field::ToolChoice, Field::ParallelToolCalls]
        }
        None => &[],
    }
}

fn would_drop(dropped: &[Cow<'static, str>], provider: &str) -> Error {
    let fields = dropped.join("`, `");
    let message = format!(
        "Provider {provider} would not be sent `{fields}`, and `X-Gateway-Strict` forbids that."
    );
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = dropped.first().map(|it| it.clone().into_owned());
    error
}
