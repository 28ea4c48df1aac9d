//! Lists of models as each API writes them, and the pages of each.
//!
//! Sources: the types of the Python packages `openai` 3.54, `anthropic` 2.12 and `google-genai` 3.4,
//! and the references of *List Models* (docs.anthropic.com) and *models.list* (ai.google.dev), seen
//! 2026-11. Beyond OpenAI's members stand those of `OpenRouter`'s list that many clients read. A model
//! whose age is not known was made in 1970: clients only want a moment.

use canonical::{Error, ErrorKind, Result};
use http::Uri;
use serde::Serialize;

use super::{
    Model,
    capabilities::{Capabilities, capabilities},
    pricing::Pricing,
};
use crate::{api::Api, request::query_value};

/// How many models a page of Anthropic's and Google's may have.
const MAX_PAGE: usize = 1000;

/// Encodes a list of models, or the page of it that the query names.
pub(super) fn encode_list(api: Api, models: &[Model<'_>], uri: &Uri) -> Result<Vec<u8>> {
    match api {
        // OpenAI's list has no pages.
        Api::OpenAi | Api::Admin => {
            let data: Vec<_> = models.iter().map(OpenAi::from).collect();
            encode(&OpenAiList { object: "list", data })
        }
        Api::Anthropic => encode(&anthropic_page(models, uri)?),
        Api::Gemini => encode(&gemini_page(models, uri)?),
    }
}

/// Encodes one model.
pub(super) fn encode_model(api: Api, model: &Model<'_>) -> Result<Vec<u8>> {
    match api {
        Api::OpenAi | Api::Admin => encode(&OpenAi::from(model)),
        Api::Anthropic => encode(&Anthropic::from(model)),
        Api::Gemini => encode(&Gemini::from(model)),
    }
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAi<'a>>,
}

#[derive(Serialize)]
struct OpenAi<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<&'a Pricing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_provider: Option<TopProvider>,
}

/// The limits at the provider that serves a model.
#[derive(Serialize)]
struct TopProvider {
    context_length: Option<u64>,
    max_completion_tokens: Option<u64>,
}

impl<'a> From<&'a Model<'_>> for OpenAi<'a> {
    fn from(model: &'a Model<'_>) -> Self {
        let (context_length, max_completion_tokens) =
            (model.details.context_window, model.details.max_output);
        let is_limited = context_length.is_some() || max_completion_tokens.is_some();
        Self {
            id: &model.id,
            object: "model",
            created: model.created,
            owned_by: model.owned_by,
            description: model.description,
            context_length,
            pricing: model.pricing.as_ref(),
            top_provider: is_limited
                .then_some(TopProvider { context_length, max_completion_tokens }),
        }
    }
}

#[derive(Serialize)]
struct AnthropicPage<'a> {
    data: Vec<Anthropic<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// A model as Anthropic writes it. What is not known is null: SDKs want every key to be there.
#[derive(Serialize)]
struct Anthropic<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    capabilities: Option<Capabilities>,
    line: Option<()>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    deprecated_at: Option<()>,
    retires_at: Option<()>,
}

impl<'a> From<&'a Model<'_>> for Anthropic<'a> {
    fn from(model: &'a Model<'_>) -> Self {
        Self {
            kind: "model",
            id: &model.id,
            display_name: &model.id,
            created_at: tenants::rfc3339(model.created),
            lifecycle: "active",
            capabilities: capabilities(&model.details.facts),
            line: None,
            max_input_tokens: model.details.context_window,
            max_tokens: model.details.max_output,
            deprecated_at: None,
            retires_at: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiPage<'a> {
    models: Vec<Gemini<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gemini<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: [&'static str; 3],
}

impl<'a> From<&'a Model<'_>> for Gemini<'a> {
    fn from(model: &'a Model<'_>) -> Self {
        Self {
            name: format!("models/{}", model.id),
            version: "1",
            display_name: &model.id,
            description: model.description,
            input_token_limit: model.details.context_window,
            output_token_limit: model.details.max_output,
            supported_generation_methods: [
                "generateContent",
                "streamGenerateContent",
                "countTokens",
            ],
        }
    }
}

fn anthropic_page<'a>(models: &'a [Model<'_>], uri: &Uri) -> Result<AnthropicPage<'a>> {
    // 20 is Anthropic's default.
    let limit = number(uri, "limit")?.unwrap_or(20);
    if !(1..=MAX_PAGE).contains(&limit) {
        let message = format!("`limit` must be a number from 1 to {MAX_PAGE}.");
        return Err(Error::invalid("limit", message));
    }
    let (page, has_more) =
        match (position(models, uri, "after_id")?, position(models, uri, "before_id")?) {
            (Some(_), Some(_)) => {
                let message = "`before_id` stands beside `after_id`; keep one of the two.";
                return Err(Error::invalid("before_id", message));
            }
            (None, Some(end)) => {
                let start = end.saturating_sub(limit);
                (models.get(start..end).unwrap_or_default(), 0 < start)
            }
            (after, None) => {
                let rest = models.get(after.map_or(0, |it| it + 1)..).unwrap_or_default();
                (rest.get(..limit).unwrap_or(rest), limit < rest.len())
            }
        };
    Ok(AnthropicPage {
        data: page.iter().map(Anthropic::from).collect(),
        has_more,
        first_id: page.first().map(|it| &*it.id),
        last_id: page.last().map(|it| &*it.id),
    })
}

/// The page of Gemini's list that the query names. A page's token is the last name before the page.
fn gemini_page<'a>(models: &'a [Model<'_>], uri: &Uri) -> Result<GeminiPage<'a>> {
    // Google treats 0 as its default of 50, and what is too large as the maximum.
    let size = number(uri, "pageSize")?.filter(|it| *it != 0).unwrap_or(50).min(MAX_PAGE);
    let after = position(models, uri, "pageToken")?;
    let rest = models.get(after.map_or(0, |it| it + 1)..).unwrap_or_default();
    let page = rest.get(..size).unwrap_or(rest);
    let more = page.len() < rest.len();
    Ok(GeminiPage {
        models: page.iter().map(Gemini::from).collect(),
        next_page_token: page.last().map(|it| &*it.id).filter(|_| more),
    })
}

fn number(uri: &Uri, name: &str) -> Result<Option<usize>> {
    let Some(text) = query_value(uri, name).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let number = text.parse().map_err(|error: std::num::ParseIntError| {
        Error::invalid(name, format!("`{name}` must be a whole number.")).caused_by(error)
    })?;
    Ok(Some(number))
}

/// The position of the model that a query names.
fn position(models: &[Model<'_>], uri: &Uri, name: &str) -> Result<Option<usize>> {
    let Some(id) = query_value(uri, name).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let position = models.iter().position(|it| it.id == id);
    let missing = || Error::invalid(name, format!("`{name}` names nothing in this list."));
    position.ok_or_else(missing).map(Some)
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "The list of models cannot be written.").caused_by(error)
    })
}
