//! What providers list as their models: asked of all at once, bounded in time and size.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use canonical::{Error, ErrorKind, Result};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Limited};
use reqwest::Url;
use serde_json::Value;

use crate::{
    redaction::redact_error,
    upstream::{ReachableProvider, Upstream},
};

/// Time for one provider's list.
const LIST_TIMEOUT: Duration = Duration::from_secs(8);
/// How large a list may be, in bytes.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// How many models a page has behind the first: the most that both APIs with pages allow.
const PAGE_MODELS: usize = 1_000;
/// How many pages of a list are read.
const MAX_PAGES: usize = 20;
/// How many models of one provider are taken.
const MAX_MODELS: usize = 5_000;

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
    /// Asks every provider for its models, all at once, in order of their names.
    pub async fn list_models(&self) -> Vec<ModelListing> {
        let listed = self.providers.iter().map(|(name, provider)| async move {
            let started = Instant::now();
            let models = match provider {
                Ok(provider) => list_models_in_time(provider).await,
                // Errors hold causes that cannot be copied; the list shows the message alone.
                Err(error) => Err(Error::new(error.kind, error.message())),
            };
            ModelListing { provider: name.clone(), models, duration: started.elapsed() }
        });
        let mut listings = join_all(listed).await;
        listings.sort_by(|one, other| one.provider.cmp(&other.provider));
        listings
    }
}

async fn list_models_in_time(provider: &ReachableProvider) -> Result<Vec<String>> {
    let listed = tokio::time::timeout(LIST_TIMEOUT, list_models(provider)).await;
    let listed = listed.unwrap_or_else(|_| {
        let message = format!("did not list its models within {} s", LIST_TIMEOUT.as_secs());
        Err(Error::new(ErrorKind::Timeout, message))
    });
    listed.map_err(|error| redact_error(error, &provider.endpoint.secrets))
}

async fn list_models(provider: &ReachableProvider) -> Result<Vec<String>> {
    let endpoint = &provider.endpoint;
    let chat = endpoint.provider.apis.first().map_or("", |api| api.path);
    // Where the model stands behind another word than `models`, as at Azure and Bedrock, the list
    // is another service's.
    if chat.contains("{model}") && !chat.contains("/models/{model}") {
        let message = "has no list of models that its key opens";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let url = format!("{}/models", endpoint.base.trim_end_matches('/'));
    let first: Url = url.parse().map_err(|error| {
        Error::new(ErrorKind::Internal, "has an address that is not a URL").caused_by(error)
    })?;

    let (mut names, mut url) = (BTreeSet::new(), first.clone());
    for _ in 0..MAX_PAGES {
        let list = read_list(provider, url).await?;
        let known = names.len();
        names.extend(names_in(&list)?);
        // A server that knows no pages sends the same names again.
        if MAX_MODELS <= names.len() || names.len() == known {
            break;
        }
        let Some(next) = next_page(&list) else { break };
        url = first.clone();
        url.query_pairs_mut().extend_pairs(next);
    }
    Ok(names.into_iter().take(MAX_MODELS).collect())
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
    serde_json::from_slice(&body.to_bytes()).map_err(|error| unreadable().caused_by(error))
}

/// What the request for the page after a list says; none at its end. Anthropic's lists go on after
/// their last id, Google's at a token.
///
/// Sources: <https://docs.anthropic.com/en/api/models-list>, <https://ai.google.dev/api/models>.
fn next_page(list: &Value) -> Option<[(&'static str, String); 2]> {
    let text = |name: &str| list[name].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    if let Some(token) = text("nextPageToken") {
        return Some([("pageSize", PAGE_MODELS.to_string()), ("pageToken", token)]);
    }
    let last = text("last_id").filter(|_| list["has_more"] == true)?;
    Some([("limit", PAGE_MODELS.to_string()), ("after_id", last)])
}

/// The names in a list, whichever of the three APIs it is of.
fn names_in(list: &Value) -> Result<Vec<String>> {
    // OpenAI's and Anthropic's lists are in `data`, Google's in `models`, and Together's is the
    // array itself.
    let items = list.get("data").or_else(|| list.get("models")).unwrap_or(list);
    let items = items.as_array().ok_or_else(unreadable)?;
    let name = |item: &Value| {
        let name = item.get("id").or_else(|| item.get("name"))?.as_str()?;
        // Google lists `models/gemini-…`, and takes the name without that.
        Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
    };
    Ok(items.iter().take(MAX_MODELS).filter_map(name).collect())
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Upstream, "sent something else than its models")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_each_api_is_read() {
        for (list, expected) in [
            (r#"{"object":"list","data":[{"id":"b"},{"id":"a"}]}"#, vec!["b", "a"]),
            (r#"{"data":[{"type":"model","id":"claude-x"}],"has_more":false}"#, vec!["claude-x"]),
            (r#"{"models":[{"name":"models/gemini-x"}]}"#, vec!["gemini-x"]),
            (r#"[{"id":"bare"}]"#, vec!["bare"]),
        ] {
            let list = serde_json::from_str(list).unwrap();
            assert_eq!(names_in(&list).unwrap(), expected, "{list}");
        }
        assert!(names_in(&serde_json::json!({ "error": {} })).is_err());
    }

    #[test]
    fn the_page_after_a_list_is_asked_for_as_each_api_wants_it() {
        let next = |list: &str| next_page(&serde_json::from_str(list).unwrap());
        let size = PAGE_MODELS.to_string();
        assert_eq!(
            next(r#"{"data":[],"has_more":true,"last_id":"claude-x"}"#),
            Some([("limit", size.clone()), ("after_id", "claude-x".to_owned())])
        );
        assert_eq!(
            next(r#"{"models":[],"nextPageToken":"t"}"#),
            Some([("pageSize", size), ("pageToken", "t".to_owned())])
        );
        for end in [r#"{"data":[],"has_more":false,"last_id":"x"}"#, r#"{"models":[]}"#, "[]"] {
            assert_eq!(next(end), None, "{end}");
        }
    }
}
