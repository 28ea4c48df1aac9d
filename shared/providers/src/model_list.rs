//! What providers list as their models: asked of all at once, bounded in time and size.

use std::time::{Duration, Instant};

use canonical::{Error, ErrorKind, KeyFingerprint, Result};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Limited};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    redaction::redact_error,
    upstream::{ReachableProvider, Upstream},
};

/// Time for one provider's list.
const LIST_TIMEOUT: Duration = Duration::from_secs(8);
/// How large a list may be, in bytes.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// How many pages of a list are read.
const MAX_PAGES: usize = 20;
/// How many models of one provider are taken.
const MAX_MODELS: usize = 5_000;
/// How many characters a price may have.
const MAX_PRICE_CHARS: usize = 24;

/// A model as its provider lists it. What the provider does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedModel {
    /// The provider's name for the model.
    pub id: String,
    /// When the model was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// The most tokens that prompt and response may have together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The most output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// The price of an input token in US dollars, as a decimal number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_price: Option<String>,
    /// The price of an output token in US dollars, as a decimal number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_price: Option<String>,
}

/// The models that one provider lists.
#[derive(Debug)]
pub struct ModelListing {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The names of its models, in order of the alphabet.
    pub models: Result<Vec<String>>,
    /// How long the provider took.
    pub duration: Duration,
}

impl Upstream {
    /// Asks every provider for its models, all at once, in order of their names. `done` is told of
    /// each provider as its list ends.
    pub async fn list_models(&self, done: &(dyn Fn(&str) + Sync)) -> Vec<ModelListing> {
        let listed = self.providers.keys().map(|name| async move {
            let started = Instant::now();
            let models = self.list_models_of(name).await;
            let models = models.map(|listed| listed.into_iter().map(|model| model.id).collect());
            done(name);
            ModelListing { provider: name.clone(), models, duration: started.elapsed() }
        });
        let mut listings = join_all(listed).await;
        listings.sort_by(|one, other| one.provider.cmp(&other.provider));
        listings
    }

    /// Asks one provider for its models, in order of their names.
    pub async fn list_models_of(&self, name: &str) -> Result<Vec<ListedModel>> {
        match self.providers.get(name) {
            Some(Ok(provider)) => list_models_in_time(provider).await,
            Some(Err(error)) => Err(Error::new(error.kind, error.message())),
            None => Err(Error::new(ErrorKind::Internal, "is not configured")),
        }
    }

    /// A fingerprint of where a provider is called and with which keys: another account may have other
    /// models. None where the provider cannot be called.
    pub fn account_of(&self, name: &str) -> Option<KeyFingerprint> {
        let endpoint = &self.providers.get(name)?.as_ref().ok()?.endpoint;
        let mut account = endpoint.base.clone();
        for secret in endpoint.secrets.iter() {
            account.push('\n');
            account.push_str(secret.expose());
        }
        Some(routing::fingerprint(&account))
    }
}

async fn list_models_in_time(provider: &ReachableProvider) -> Result<Vec<ListedModel>> {
    let listed = tokio::time::timeout(LIST_TIMEOUT, list_models(provider)).await;
    let listed = listed.unwrap_or_else(|_| {
        let message = format!("did not list its models within {} s", LIST_TIMEOUT.as_secs());
        Err(Error::new(ErrorKind::Timeout, message))
    });
    listed.map_err(|error| redact_error(error, &provider.endpoint.secrets))
}

async fn list_models(provider: &ReachableProvider) -> Result<Vec<ListedModel>> {
    let endpoint = &provider.endpoint;
    let chat = endpoint.provider.apis.first().map_or("", |api| api.path);
    // Where the model stands behind another word than `models`, as at Azure and Bedrock, the list
    // is another service's.
    if chat.contains("{model}") && !chat.contains("/models/{model}") {
        let message = "has no list of models that its key opens";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let url = format!("{}/models{}", endpoint.base.trim_end_matches('/'), page_of(chat));
    let first: Url = url.parse().map_err(|error| {
        Error::new(ErrorKind::Internal, "has an address that is not a URL").caused_by(error)
    })?;

    let (mut models, mut url) = (vec![], first.clone());
    for _ in 0..MAX_PAGES {
        let list = read_list(provider, url).await?;
        let known = models.len();
        models = in_order([models, models_in(&list)?].concat());
        // A server that knows no pages sends the same models again.
        if MAX_MODELS <= models.len() || models.len() == known {
            break;
        }
        let Some((name, place)) = next_page(&list) else { break };
        url = first.clone();
        url.query_pairs_mut().append_pair(name, &place);
    }
    models.truncate(MAX_MODELS);
    Ok(models)
}

/// Reads one page of a provider's list.
async fn read_list(provider: &ReachableProvider, url: Url) -> Result<Value> {
    let headers = provider.endpoint.first_headers();
    let headers =
        headers.ok_or_else(|| Error::new(ErrorKind::ProviderAccess, "has no usable key"))?;

    let response = provider.connections.get(url, headers).await?;
    let status = response.status();
    if !status.is_success() {
        let message = format!("returned {} to a request for its models", status.as_u16());
        let mut error = Error::new(ErrorKind::Upstream, message);
        error.provider_status = Some(status.as_u16());
        return Err(error);
    }
    let body = Limited::new(response.into_body(), MAX_LIST_BYTES).collect().await;
    let body = body.map_err(|error| {
        Error::new(ErrorKind::Upstream, "sent a list of models that cannot be read")
            .caused_by(error)
    })?;
    json(&formats::without_byte_order_mark(body.to_bytes()))
}

/// Where the page after a list begins; none at its end. Anthropic's lists go on after their last id,
/// Google's at a token.
///
/// Sources: <https://docs.anthropic.com/en/api/models-list>, <https://ai.google.dev/api/models>.
fn next_page(list: &Value) -> Option<(&'static str, String)> {
    let text = |name: &str| list[name].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    if let Some(token) = text("nextPageToken") {
        return Some(("pageToken", token));
    }
    let last = text("last_id").filter(|_| list["has_more"] == true)?;
    Some(("after_id", last))
}

/// The query for one page that holds everything, where lists have pages.
fn page_of(chat: &str) -> &'static str {
    match chat {
        "/messages" => "?limit=1000",
        _ if chat.contains("/models/{model}") => "?pageSize=1000",
        _ => "",
    }
}

fn json(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| unreadable().caused_by(error))
}

/// The models in a list, whichever of the three APIs it is of.
fn models_in(list: &Value) -> Result<Vec<ListedModel>> {
    // OpenAI's and Anthropic's lists are in `data`, Google's in `models`, and Together's is the
    // array itself.
    let items = list.get("data").or_else(|| list.get("models")).unwrap_or(list);
    let items = items.as_array().ok_or_else(unreadable)?;
    Ok(items.iter().take(MAX_MODELS).filter_map(model).collect())
}

/// Models in order of their names, each once.
fn in_order(mut models: Vec<ListedModel>) -> Vec<ListedModel> {
    models.sort_by(|one, other| one.id.cmp(&other.id));
    models.dedup_by(|one, other| one.id == other.id);
    models
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Upstream, "sent something else than its models")
}

/// One item of a list. Its limits have another name at nearly every provider.
fn model(item: &Value) -> Option<ListedModel> {
    let id = item.get("id").or_else(|| item.get("name"))?.as_str()?;
    let number = |pointers: &[&str]| {
        let known = pointers.iter().find_map(|pointer| item.pointer(pointer)?.as_u64());
        known.filter(|number| *number != 0)
    };
    let price = |pointer: &str| {
        let text = item.pointer(pointer)?.as_str()?;
        let is_price = text.len() <= MAX_PRICE_CHARS && text.parse::<f64>().is_ok_and(is_a_price);
        is_price.then(|| text.to_owned())
    };
    Some(ListedModel {
        id: id.strip_prefix("models/").unwrap_or(id).to_owned(),
        created: number(&["/created"]),
        context_window: number(&[
            "/context_length",
            "/context_window",
            "/max_context_length",
            "/max_model_len",
            "/inputTokenLimit",
            "/max_input_tokens",
        ]),
        max_output: number(&[
            "/top_provider/max_completion_tokens",
            "/max_completion_tokens",
            "/outputTokenLimit",
            "/max_tokens",
        ]),
        input_price: price("/pricing/prompt"),
        output_price: price("/pricing/completion"),
    })
}

/// Whether a number is a price: OpenRouter writes -1 where the price depends on the request.
fn is_a_price(number: f64) -> bool {
    number.is_finite() && 0.0 <= number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> Result<Vec<ListedModel>> {
        models_in(&json(body)?).map(in_order)
    }

    #[test]
    fn the_page_after_a_list_begins_where_each_api_says() {
        for (list, next) in [
            (r#"{"data":[],"has_more":true,"last_id":"x"}"#, Some(("after_id", "x"))),
            (r#"{"models":[],"nextPageToken":"t"}"#, Some(("pageToken", "t"))),
            (r#"{"data":[],"has_more":false,"last_id":"x"}"#, None),
            (r#"{"models":[]}"#, None),
            ("[]", None),
        ] {
            let found = next_page(&json(list.as_bytes()).unwrap());
            let found = found.as_ref().map(|(name, place)| (*name, place.as_str()));
            assert_eq!(found, next, "{list}");
        }
    }

    #[test]
    fn the_list_of_each_api_is_read() {
        for (list, expected) in [
            (r#"{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"a"}]}"#, vec!["a", "b"]),
            (r#"{"data":[{"type":"model","id":"claude-x"}],"has_more":false}"#, vec!["claude-x"]),
            (r#"{"models":[{"name":"models/gemini-x"}]}"#, vec!["gemini-x"]),
            (r#"[{"id":"bare"}]"#, vec!["bare"]),
        ] {
            let models = parse(list.as_bytes()).unwrap();
            let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
            assert_eq!(names, expected, "{list}");
        }
        assert!(parse(b"<html>").is_err());
        assert!(parse(b"{\"error\":{}}").is_err());
    }

    #[test]
    fn limits_and_prices_are_read_where_a_provider_tells_them() {
        for (item, context_window, max_output) in [
            (r#"{"id":"a","context_length":8,"top_provider":{"max_completion_tokens":2}}"#, 8, 2),
            (r#"{"id":"a","context_window":8,"max_completion_tokens":2}"#, 8, 2),
            (r#"{"name":"models/a","inputTokenLimit":8,"outputTokenLimit":2}"#, 8, 2),
            (r#"{"id":"a","max_input_tokens":8,"max_tokens":2}"#, 8, 2),
        ] {
            let models = parse(format!("[{item}]").as_bytes()).unwrap();
            let limits = (models[0].context_window, models[0].max_output);
            assert_eq!(limits, (Some(context_window), Some(max_output)), "{item}");
        }
        let priced =
            br#"[{"id":"a","created":7,"pricing":{"prompt":"0.000002","completion":"-1"}}]"#;
        let models = parse(priced).unwrap();
        assert_eq!(models[0].created, Some(7));
        assert_eq!(models[0].input_price.as_deref(), Some("0.000002"));
        assert_eq!(models[0].output_price, None);
    }
}
