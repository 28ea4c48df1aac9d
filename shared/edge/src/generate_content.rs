//! Endpoints that name the model and its method in their path, as Google's do.

use canonical::Result;
use formats::{
    ClientFormat,
    google::{
        GeminiEmbed, GeminiEmbedBatch,
        generate_content::{Gemini, GeminiCount},
    },
};
use http::Uri;

use crate::{
    endpoint::HandlerFuture,
    front::Exchange,
    model_call::{self, PathFields, PathFormat},
    request::query_value,
    router::no_such_model_method,
};

/// Responds to a call of a model's method: `{model}:{method}` stands at the end of the path.
pub(crate) fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let id = exchange.id.clone().unwrap_or_default();
        let path_format = parse_path(&id, exchange.request.uri())?;
        model_call::respond(exchange, path_format).await
    })
}

fn parse_path(id: &str, uri: &Uri) -> Result<PathFormat> {
    // From the right: names of tuned models and of Bedrock's hold colons themselves.
    let (model, method) = id.rsplit_once(':').unwrap_or((id, ""));
    let (format, stream) = match method {
        "generateContent" => (ClientFormat::Chat(&Gemini), false),
        "streamGenerateContent" => (ClientFormat::Chat(&Gemini), true),
        "countTokens" => (ClientFormat::TokenCount(&GeminiCount), false),
        "embedContent" => (ClientFormat::Embeddings(&GeminiEmbed), false),
        "batchEmbedContents" => (ClientFormat::Embeddings(&GeminiEmbedBatch), false),
        _ => return Err(no_such_model_method(uri.path())),
    };
    // `$alt` is the same parameter in Google's older client libraries.
    let alt = query_value(uri, "alt").or_else(|| query_value(uri, "$alt"));
    Ok(PathFormat { format, fields: Some(PathFields { model: model.to_owned(), stream, alt }) })
}
