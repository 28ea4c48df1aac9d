//! Lists of models as each API writes them, and the pages of each.
//!
//! Sources: the types of the Python packages `openai` 3.54, `anthropic` 2.12 and `google-genai` 3.4,
//! and the references of *List Models* (docs.anthropic.com) and *models.list* (ai.google.dev), seen
//! 2026-11. When a model was made is not known; clients only want a moment.

use canonical::{Error, ErrorKind, Result};
use http::Uri;
use serde::Serialize;

use super::Model;
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
}

impl<'a> From<&Model<'a>> for OpenAi<'a> {
    fn from(model: &Model<'a>) -> Self {
        let Model { id, owned_by, description, limits: _ } = *model;
        Self { id, object: "model", created: 0, owned_by, description }
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
    created_at: &'static str,
    lifecycle: &'static str,
    capabilities: Option<()>,
    line: Option<()>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    deprecated_at: Option<()>,
    retires_at: Option<()>,
}

impl<'a> From<&Model<'a>> for Anthropic<'a> {
    fn from(model: &Model<'a>) -> Self {
        Self {
            kind: "model",
            id: model.id,
            display_name: model.id,
            created_at: "1970-01-01T00:00:00Z",
            lifecycle: "active",
            capabilities: None,
            line: None,
            max_input_tokens: model.limits.0,
            max_tokens: model.limits.1,
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
    supported_generation_methods: [&'static str; 3],
}

impl<'a> From<&Model<'a>> for Gemini<'a> {
    fn from(model: &Model<'a>) -> Self {
        Self {
            name: format!("models/{}", model.id),
            version: "1",
            display_name: model.id,
            description: model.description,
            supported_generation_methods: [
                "generateContent",
                "streamGenerateContent",
                "countTokens",
            ],
        }
    }
}

fn anthropic_page<'a>(models: &[Model<'a>], uri: &Uri) -> Result<AnthropicPage<'a>> {
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
        first_id: page.first().map(|it| it.id),
        last_id: page.last().map(|it| it.id),
    })
}

/// The page of Gemini's list that the query names. A page's token is the last name before the page.
fn gemini_page<'a>(models: &[Model<'a>], uri: &Uri) -> Result<GeminiPage<'a>> {
    // Google treats 0 as its default of 50, and what is too large as the maximum.
    let size = number(uri, "pageSize")?.filter(|it| *it != 0).unwrap_or(50).min(MAX_PAGE);
    let after = position(models, uri, "pageToken")?;
    let rest = models.get(after.map_or(0, |it| it + 1)..).unwrap_or_default();
    let page = rest.get(..size).unwrap_or(rest);
    let more = page.len() < rest.len();
    Ok(GeminiPage {
        models: page.iter().map(Gemini::from).collect(),
        next_page_token: page.last().map(|it| it.id).filter(|_| more),
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
