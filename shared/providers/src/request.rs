//! A client's request as one provider is sent it.
//!
//! In the same format the client's own bytes pass through; otherwise what they mean is encoded.

use std::borrow::Cow;

use canonical::{CanonicalRequest, Error, ErrorKind, Field, Result};
use config::ConflictResolution;
use formats::{DecodeMode, EncodeOptions, EncodedRequest, GatewayRequest, Outbound, ToolNames};
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
    /// What is not in it, by the client's names.
    pub(crate) dropped: Vec<Cow<'static, str>>,
    /// What tools are called there.
    pub(crate) tool_names: ToolNames,
    /// How the answer has to be decoded.
    pub(crate) mode: DecodeMode,
}

/// Prepares a request: the client's own bytes where the formats are the same, else what they mean.
pub(crate) async fn prepare(
    upstream_request: &UpstreamRequest<'_>,
    attempt: &Attempt,
    endpoint: &Endpoint,
    format: &dyn Outbound,
    fetch: &Fetch,
) -> Result<PreparedRequest> {
    let (target, request) = (attempt.target(), upstream_request.request);
    let mut without = conflicting_fields(target, request).to_vec();
    without.extend_from_slice(&attempt.remedies.fields);
    let mut options = EncodeOptions {
        model: &target.model,
        stream: request.stream,
        stream_usage: endpoint.provider.stream_usage,
        compatibility: endpoint.compatibility,
        max_output: None,
        drop_fields: &without,
        drop_signatures: attempt.remedies.signatures,
    };
    let is_same_format = format.name() == request.format.name;
    // Who has no compaction is asked for a summary, which only a translation does.
    let passes_through =
        is_same_format && !attempt.remedies.betas && !without.contains(&Field::Compaction);
    // A limit that passes through is the client's own, so that the model's is not looked up.
    if !passes_through || without.contains(&Field::MaxTokens) {
        options.max_output = (upstream_request.max_output)(target);
    }

    let word = request.format.word;
    let mut tool_names = ToolNames::default();
    let (encoded, mode, unknown) = if passes_through {
        (format.passthrough(request, &options)?, DecodeMode::Passthrough, &[][..])
    } else {
        let canonical = request.canonical()?;
        let mut adapted = adapt(canonical, &options);
        tool_names = ToolNames::of(&adapted, format);
        if !tool_names.is_empty() {
            adapted = Cow::Owned(tool_names.tell(adapted.into_owned()));
        }
        let context = FetchContext {
            format,
            model: &target.model,
            word,
            fetched: upstream_request.fetched,
            limit: TimeLimit::of(attempt, request).duration,
        };
        let filled = fetch.replace_urls(adapted, &context).await?;
        let mut encoded = format.encode(&filled, &options)?;
        let removed = without.iter().filter(|field| !field.is_lossless());
        encoded.dropped.extend(removed.cloned());
        (encoded, DecodeMode::Translate, canonical.unmapped_fields())
    };

    let mut dropped: Vec<Cow<'static, str>> = vec![];
    if is_same_format && !passes_through {
        let betas = request.headers.iter().filter(|header| is_beta(header));
        dropped.extend(betas.map(|header| Cow::Borrowed(header.0)));
    }
    let unknown = unknown.iter().map(|name| Cow::Owned(name.clone()));
    for name in encoded.dropped.iter().map(word).chain(unknown) {
        if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
    if upstream_request.strict && !dropped.is_empty() {
        return Err(would_drop(&dropped));
    }
    Ok(PreparedRequest { encoded, dropped, tool_names, mode })
}

/// What a request means for one provider: without what it has rejected, and within its limits.
fn adapt<'a>(
    canonical: &'a CanonicalRequest,
    options: &EncodeOptions<'_>,
) -> Cow<'a, CanonicalRequest> {
    let mut adapted = canonical.without_fields(options.drop_fields);
    if options.drop_signatures {
        adapted = Cow::Owned(adapted.into_owned().without_signatures());
    }

    // Some providers count their calls anew in each turn, and others refuse that.
    if let CanonicalRequest::Conversation(conversation) = &*adapted
        && !conversation.has_unique_call_ids()
    {
        let mut mended = conversation.clone();
        mended.make_call_ids_unique();
        adapted = Cow::Owned(CanonicalRequest::Conversation(mended));
    }

    // A limit above the model's own is none, but many refuse it.
    match (adapted.max_tokens(), options.max_output) {
        (Some(requested), Some(max)) if max < requested => {
            Cow::Owned(adapted.into_owned().with_max_tokens(max))
        }
        _ => adapted,
    }
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

/// What a target's conflict resolution takes out of a request that has both tools and a format.
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

fn would_drop(dropped: &[Cow<'static, str>]) -> Error {
    let fields = dropped.join("`, `");
    let message = format!("would not be sent `{fields}`, and `X-Gateway-Strict` forbids that");
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = dropped.first().map(|it| it.clone().into_owned());
    error
}
