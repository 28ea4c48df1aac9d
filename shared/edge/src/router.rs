//! From a request to its endpoint.
//!
//! Clients write paths in more ways than one: with a doubled slash, a slash at the end, a version
//! twice or none. All of them mean one endpoint.

use std::{borrow::Cow, collections::BTreeMap};

use canonical::{Error, ErrorKind};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::{
    api::Api,
    endpoint::{Endpoint, ErrorFormat},
    text::shorten,
};

/// The segment of a version that clients may leave out.
const VERSION: &str = "/v1/";

/// Finds endpoints by path and method.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    paths: matchit::Router<Vec<&'static Endpoint>>,
}

/// The endpoint of a request, or why there is none.
#[derive(Debug)]
pub(crate) struct Found {
    /// The endpoint.
    pub(crate) endpoint: Result<&'static Endpoint, Error>,
    /// The API whose format errors have.
    pub(crate) api: Api,
    /// The part of the path in place of `{*id}`, decoded.
    pub(crate) id: Option<String>,
    /// The part of the path in place of each parameter, in order, decoded.
    pub(crate) parameters: Vec<String>,
    /// The methods that the path takes.
    pub(crate) allowed: Vec<Method>,
}

impl Found {
    /// Whether the table has the path, with whatever method.
    pub(crate) fn is_known_path(&self) -> bool {
        !self.allowed.is_empty()
    }
}

impl Router {
    /// A router over some endpoints of the table.
    ///
    /// # Panics
    ///
    /// When two endpoints have one path and one method, which a test of the table rules out.
    pub(crate) fn new(endpoints: impl IntoIterator<Item = &'static Endpoint>) -> Self {
        let mut by_path: BTreeMap<String, Vec<&'static Endpoint>> = BTreeMap::new();
        for endpoint in endpoints {
            for path in spellings(endpoint) {
                by_path.entry(path).or_default().push(endpoint);
            }
        }
        let mut paths = matchit::Router::new();
        for (path, endpoints) in by_path {
            paths.insert(path, endpoints).expect("paths of the table do not overlap");
        }
        Self { paths }
    }

    /// Finds the endpoint of a request.
    pub(crate) fn find(&self, method: &Method, path: &str, headers: &HeaderMap) -> Found {
        let path = normalize(path);
        let Ok(matched) = self.paths.at(&path) else {
            let api = Api::of(&path, headers);
            return Found {
                endpoint: Err(unknown_path(&path)),
                api,
                id: None,
                parameters: vec![],
                allowed: vec![],
            };
        };
        let endpoints = matched.value;
        let id = matched.params.get("id").map(decode);
        let parameters = matched.params.iter().map(|(_, value)| decode(value)).collect();
        let endpoint = endpoints.iter().copied().find(|endpoint| takes(endpoint, method));
        // A wrong method has no row, and its error has the format that the path suggests.
        let api = match endpoint.map(|endpoint| endpoint.errors) {
            Some(ErrorFormat::Of(api)) => api,
            Some(ErrorFormat::OfClient) | None => Api::of(&path, headers),
        };
        let endpoint = endpoint.ok_or_else(|| wrong_method(method, &path));
        Found { endpoint, api, id, parameters, allowed: allowed(endpoints) }
    }
}

/// The paths of an endpoint, with and without their version.
fn spellings(endpoint: &Endpoint) -> Vec<String> {
    let mut paths: Vec<String> = endpoint.paths.iter().map(|path| (*path).to_owned()).collect();
    // SDKs are given base URLs with and without `/v1`, and users take the one for the other.
    for path in endpoint.paths {
        paths.extend(path.contains(VERSION).then(|| path.replacen(VERSION, "/", 1)));
    }
    // The rest of a path may be empty: Gemini's clients leave the choice of a model to us so.
    paths.sort();
    paths.dedup();
    paths
}

fn takes(endpoint: &Endpoint, method: &Method) -> bool {
    endpoint.method == *method || endpoint.method == Method::GET && *method == Method::HEAD
}

fn allowed(endpoints: &[&Endpoint]) -> Vec<Method> {
    let mut methods = vec![];
    for endpoint in endpoints {
        methods.push(endpoint.method.clone());
        methods.extend((endpoint.method == Method::GET).then_some(Method::HEAD));
    }
    methods
}

/// A path as the table writes it: no slash twice, none at the end, no version before another.
fn normalize(path: &str) -> Cow<'_, str> {
    // Nearly every path is plain, and is not copied.
    let is_plain = !path.contains("//") && (path == "/" || !path.ends_with('/'));
    if is_plain && !path.contains("/v1/v1") {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        // A base URL with a version, and an SDK that adds one of its own.
        if segment.starts_with("v1") && normal.ends_with("/v1") {
            normal.truncate(normal.len() - "/v1".len());
        }
        normal.push('/');
        normal.push_str(segment);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Cow::Owned(normal)
}

/// The part of a path below the base path that the path begins with; of several the most specific counts.
pub(crate) fn path_below(path: &str, base_paths: &[String]) -> Option<String> {
    if base_paths.is_empty() {
        return None;
    }
    let path = normalize(path);
    let below = base_paths.iter().filter_map(|base| path.strip_prefix(base.as_str()));
    let whole = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let shortest = whole.min_by_key(|rest| rest.len())?;
    Some(if shortest.is_empty() { "/".to_owned() } else { shortest.to_owned() })
}

/// A part of a path as the client meant it. What is no UTF-8 names nothing.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).unwrap_or_default()
}

fn unknown_path(path: &str) -> Error {
    if path.contains("/models/") && path.contains(':') {
        return no_such_model_method(path);
    }
    let message = format!("No endpoint is at `{}`.", shorten(path));
    Error::new(ErrorKind::UnknownPath, message)
}

fn wrong_method(method: &Method, path: &str) -> Error {
    // In Lambda, what stands behind a model's name decides which function is called.
    if *method == Method::POST && path.contains("/models/") && path.contains(':') {
        return no_such_model_method(path);
    }
    let path = shorten(path);
    let message =
        format!("`{path}` has no method {method}; the header `Allow` lists those it has.");
    Error::new(ErrorKind::WrongMethod, message)
}

/// A method of a model that Google may have and the gateway has not.
pub(crate) fn no_such_model_method(path: &str) -> Error {
    let message = format!(
        "No endpoint is at `{}`; a model's methods are generateContent, streamGenerateContent \
         and countTokens.",
        shorten(path)
    );
    Error::new(ErrorKind::UnknownPath, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::ENDPOINTS;

    fn find(method: &Method, path: &str) -> Found {
        Router::new(ENDPOINTS).find(method, path, &HeaderMap::new())
    }

    #[test]
    fn every_path_of_the_table_leads_to_its_endpoint() {
        for endpoint in ENDPOINTS {
            assert!(!endpoint.paths.is_empty(), "{endpoint:?}");
            for path in endpoint.paths {
                let requested = path.replace("{*id}", "some/model");
                let requested = requested.replace("{id}", "t%5F1").replace("{key}", "key_1");
                let found = find(&endpoint.method, &requested);
                assert!(std::ptr::eq(found.endpoint.unwrap(), endpoint), "{path}");
                assert_eq!(found.id.is_some(), path.contains("id}"), "{path}");
                assert_eq!(found.parameters.len(), path.matches('{').count(), "{path}");
                assert!(!path.contains("{id}") || found.parameters[0] == "t_1", "{path}");
            }
        }
    }

    #[test]
    fn every_spelling_of_a_path_is_served() {
        for path in [
            "/chat/completions",
            "/v1//chat/completions",
            "//v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/v1/chat/completions",
            "/v1/openai/chat/completions".trim_start_matches("/v1"),
        ] {
            let endpoint = find(&Method::POST, path).endpoint.unwrap();
            assert_eq!(endpoint.function, "chat-completions", "{path}");
        }
        for (path, function) in [
            ("/responses", "responses"),
            ("/embeddings/", "embeddings"),
            ("/messages", "messages"),
            ("/anthropic/messages/count_tokens", "messages"),
            ("/v1/v1beta/models/m:generateContent", "generate-content"),
            ("/models/m:generateContent", "generate-content"),
            ("/v1/v1/messages", "messages"),
        ] {
            assert_eq!(find(&Method::POST, path).endpoint.unwrap().function, function, "{path}");
        }
        assert_eq!(find(&Method::GET, "/models").endpoint.unwrap().function, "models");
    }

    #[test]
    fn of_base_paths_that_fit_the_one_with_most_segments_counts() {
        let bases = ["/ai", "/ai/router"].map(str::to_owned);
        for (path, below) in [
            ("/ai/v1/models", Some("/v1/models")),
            ("//ai//v1/models/", Some("/v1/models")),
            ("/ai/router/models", Some("/models")),
            ("/ai", Some("/")),
            ("/air/v1/models", None),
            ("/v1/ai/models", None),
        ] {
            assert_eq!(path_below(path, &bases).as_deref(), below, "{path}");
        }
    }

    #[test]
    fn an_id_is_decoded_and_may_hold_slashes() {
        let found = find(&Method::GET, "/v1/models/a%2Fb/c%20d");
        assert_eq!(found.id.as_deref(), Some("a/b/c d"));
        assert_eq!(find(&Method::GET, "/v1/models/%ff").id.as_deref(), Some(""));
    }

    #[test]
    fn a_wrong_method_comes_with_the_right_ones() {
        let found = find(&Method::DELETE, "/v1/models");
        assert_eq!(found.endpoint.unwrap_err().kind, ErrorKind::WrongMethod);
        assert_eq!(found.allowed, [Method::GET, Method::HEAD]);
    }

    #[test]
    fn what_is_no_path_leads_nowhere() {
        for path in ["/nothing", "/v1", "/v1/chat", "/%2e%2e", "", "/v1/modelsx", "/v2/models"] {
            let error = find(&Method::GET, path).endpoint.unwrap_err();
            assert_eq!(error.kind, ErrorKind::UnknownPath, "{path}");
        }
    }
}
