//! One configured provider, ready to be called: its URLs, its headers and its secrets, made once.

use std::sync::Arc;

use canonical::{Error, ErrorKind, Field, KeyFingerprint, ModelFacts, Result, Task};
use formats::{ChatCompatibility, GatewayRequest, ProviderFormat, StreamEnd};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;

use storage::{Secret, Signer};

use crate::{
    Auth, Offered, Provider, ProviderApi, REGION, USER_AGENT,
    signing::{self, Signing},
};

/// Gives the value of a secret, wherever it is kept.
pub type ResolveSecret<'a> = &'a dyn Fn(&config::SecretSource) -> Option<Secret>;

/// Everything that a call to one provider needs.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) provider: &'static Provider,
    /// The URL that the paths of the provider's APIs follow.
    pub(crate) base: String,
    apis: Vec<ApiAddress>,
    /// How the provider's OpenAI chat differs from OpenAI's own, where it has chat.
    pub(crate) compatibility: ChatCompatibility,
    /// The event that shows that a stream is complete.
    pub(crate) stream_end: StreamEnd,
    /// The headers of a request under each usable key; one set where none is configured.
    headers: Vec<(KeyFingerprint, HeaderMap)>,
    /// Why keys are missing, for operators.
    unreadable_keys: Option<String>,
    /// The signer of calls without a key.
    pub(crate) signing: Option<Signing>,
    /// Values that no message may quote.
    pub(crate) secrets: Arc<[Secret]>,
}

/// One API of a provider, and where it is called.
#[derive(Debug)]
pub(crate) struct ApiAddress {
    pub(crate) api: &'static ProviderApi,
    whole: Address,
    stream: Option<Address>,
}

/// The URL of an API.
#[derive(Debug)]
enum Address {
    /// The same URL for every model.
    Fixed(Url),
    /// A URL with the model in its path: what stands before and behind the model.
    ByModel(String, String),
}

impl Endpoint {
    /// Prepares a provider. `base_url` is the configured one, or where its script is played.
    pub(crate) fn new(
        provider: &'static Provider,
        base_url: Option<&str>,
        configured: &config::Provider,
        resolve: ResolveSecret<'_>,
        signer: &Signer,
    ) -> Result<Self> {
        let base = base_url.map_or_else(|| provider.base_url.to_owned(), |it| rooted(it, provider));
        let host = if base.contains(REGION) {
            base.replace(REGION, signing::region(configured, signer)?)
        } else {
            base.clone()
        };

        let signing = Signing::of(provider, configured, signer)?;
        let version = configured.api_version.as_deref().unwrap_or(provider.api_version);
        let address = |path: &str| {
            // The version stands in a query and is the operator's text.
            let path = path.replace("{api_version}", &encoded(version));
            Address::new(&format!("{}{path}", host.trim_end_matches('/')))
        };
        let prepare_api = |api: &'static ProviderApi| {
            let stream = api.stream_path.map(address).transpose()?;
            Ok(ApiAddress { api, whole: address(api.path)?, stream })
        };
        let apis = offered_apis(provider, &base).map(prepare_api).collect::<Result<_>>()?;

        let common = common_headers(provider, configured, resolve)?;
        let keys: Vec<Option<Secret>> = configured.keys.iter().map(resolve).collect();
        let unreadable_keys = unreadable(configured.keys.iter().zip(&keys));

        // Who has no key here needs none: the reader of the configuration sees to that.
        let headers = if keys.is_empty() {
            vec![(KeyFingerprint::NONE, common)]
        } else {
            // Keys that cannot be read are left out: the pool works as long as one is there.
            let usable = keys.iter().flatten().filter_map(|key| {
                let headers = with_key(&common, provider.auth, key)?;
                Some((routing::fingerprint(key.expose()), headers))
            });
            usable.collect()
        };

        let hidden = configured.headers.values().filter_map(resolve);
        // Headers are redacted too, because a key may stand in any of them.
        let secrets = keys.into_iter().flatten().chain(hidden).collect();

        let is_home = is_own_address(provider, &base);
        let compatibility =
            if is_home { provider.compatibility } else { provider.compatibility.imitated() };
        // Servers that imitate a company often leave its terminator out.
        let stream_end = if is_home { provider.stream_end } else { StreamEnd::FinishReason };
        Ok(Self {
            provider,
            base: host,
            apis,
            compatibility,
            stream_end,
            headers,
            unreadable_keys,
            signing,
            secrets,
        })
    }

    /// The headers of a call under the first usable key.
    pub(crate) fn first_headers(&self) -> Option<&HeaderMap> {
        self.headers.first().map(|(_, headers)| headers)
    }

    /// The headers of a call under one key.
    pub(crate) fn headers(&self, key: KeyFingerprint) -> Result<&HeaderMap> {
        let found = self.headers.iter().find(|(fingerprint, _)| *fingerprint == key);
        found.map(|(_, headers)| headers).ok_or_else(|| {
            let error = Error::new(ErrorKind::ProviderAccess, "has no usable key");
            match &self.unreadable_keys {
                Some(cause) => error.caused_by(cause.as_str()),
                None => error,
            }
        })
    }

    /// The URL of a path under the base.
    pub(crate) fn url_of(&self, path: &str) -> Result<Url> {
        parsed(&format!("{}{path}", self.base.trim_end_matches('/')))
    }

    /// The wire format of this name, if the provider has an API in it.
    pub(crate) fn format(&self, name: &str) -> Option<ProviderFormat> {
        let mut formats = self.apis.iter().map(|it| it.api.format);
        formats.find(|it| it.outbound().name() == name)
    }

    /// The API for a request about a model: that of its task, else a chat where the task is to
    /// write text.
    ///
    /// `rejected` are fields that the provider has rejected, of which its own compaction may be
    /// one.
    pub(crate) fn api(
        &self,
        request: &GatewayRequest,
        facts: &ModelFacts,
        rejected: &[Field],
    ) -> Result<&ApiAddress> {
        let has_rejected = request.task == Task::Compact && rejected.contains(&Field::Compaction);
        let own = self.api_of_task(request.task, request, facts);
        if let Some(api) = own.filter(|_| !has_rejected) {
            return Ok(api);
        }
        let chat = request.task.writes_text().then_some(Task::Chat);
        let found = chat.and_then(|task| self.api_of_task(task, request, facts));
        found.ok_or_else(|| Error::new(ErrorKind::Unsupported, "has no endpoint for this"))
    }

    /// The API of a task: the one that the model has and others lack, else one in the client's own
    /// format, else the provider's first that is for every model.
    fn api_of_task(
        &self,
        task: Task,
        request: &GatewayRequest,
        facts: &ModelFacts,
    ) -> Option<&ApiAddress> {
        let able = || self.apis.iter().filter(|it| it.api.format.task() == task);
        let for_model =
            |it: &&ApiAddress| it.api.only_with.is_some_and(|api| facts.apis.contains(&api));
        let same = |it: &&ApiAddress| it.api.format.outbound().name() == request.format.name;
        // What is only for some models is so because others lack it, or have something better.
        let for_all = |it: &&ApiAddress| it.api.only_with.is_none() || task == Task::Chat;
        let able_for_all = || able().filter(for_all);
        able()
            .find(for_model)
            .or_else(|| able_for_all().find(same))
            .or_else(|| able_for_all().next())
    }
}

impl ApiAddress {
    /// Where a model is called.
    pub(crate) fn address(&self, model: &str, stream: bool) -> Result<Url> {
        match self.stream.as_ref().filter(|_| stream).unwrap_or(&self.whole) {
            Address::Fixed(url) => Ok(url.clone()),
            Address::ByModel(before, behind) => {
                // Some name a model with the collection that the path already has.
                let model = match model.split_once('/') {
                    Some((collection, model)) if before.ends_with(&format!("/{collection}/")) => {
                        model
                    }
                    _ => model,
                };
                // Dots would walk up the provider's path, and an empty name would call another
                // endpoint.
                if matches!(model, "" | "." | "..") {
                    return Err(Error::unknown_model(model));
                }
                parsed(&format!("{before}{}{behind}", encoded(model)))
            }
        }
    }
}

impl Address {
    fn new(url: &str) -> Result<Self> {
        Ok(match url.split_once("{model}") {
            Some((before, behind)) => Self::ByModel(before.to_owned(), behind.to_owned()),
            None => Self::Fixed(parsed(url)?),
        })
    }
}

/// Which parameters of these secrets could not be read, for operators.
fn unreadable<'a>(
    secrets: impl Iterator<Item = (&'a config::SecretSource, &'a Option<Secret>)>,
) -> Option<String> {
    let names = secrets.filter_map(|(source, secret)| match source {
        config::SecretSource::Parameter { name, .. } if secret.is_none() => Some(name.as_str()),
        config::SecretSource::Parameter { .. } | config::SecretSource::Value { .. } => None,
    });
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return None;
    }
    Some(format!("the parameter {} is missing or may not be read", names.join(", ")))
}

/// Whether an address is the provider's own: any that the operator names, where it has no fixed
/// one.
fn is_own_address(provider: &Provider, base: &str) -> bool {
    provider.base_url.is_empty() || base.trim_end_matches('/') == provider.base_url
}

/// The APIs of a provider at an address: all of them at its own, elsewhere the first of each task
/// that those who imitate the provider have too.
fn offered_apis(
    provider: &'static Provider,
    base: &str,
) -> impl Iterator<Item = &'static ProviderApi> {
    let is_home = is_own_address(provider, base);
    provider.apis.iter().enumerate().filter_map(move |(index, api)| {
        let first = provider.apis.iter().position(|other| other.format.task() == api.format.task());
        let is_imitated = first == Some(index) && api.offered == Offered::Anywhere;
        if is_home || is_imitated { Some(api) } else { None }
    })
}

/// A configured base URL, with the provider's version segment where it has no path of its own.
fn rooted(base_url: &str, provider: &Provider) -> String {
    let base = base_url.trim_end_matches('/');
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { base.to_owned() } else { format!("{base}{}", provider.version) }
}

fn parsed(url: &str) -> Result<Url> {
    url.parse::<Url>().map_err(|error| {
        Error::new(ErrorKind::Internal, "has an address that is not a URL").caused_by(error)
    })
}

fn common_headers(
    provider: &Provider,
    configured: &config::Provider,
    resolve: ResolveSecret<'_>,
) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    // A response is read in any case, and between machines time is worth more than bytes.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in provider.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // After the provider's own, so that an operator can replace any of them.
    for (name, source) in &configured.headers {
        let secret = resolve(source).ok_or_else(|| {
            Error::new(ErrorKind::ProviderAccess, format!("has no value for its header `{name}`"))
        })?;
        // The value is never quoted: it may be a key.
        let bad = |_| {
            Error::new(ErrorKind::Internal, format!("has a header `{name}` that cannot be sent"))
        };
        let name = name.parse::<HeaderName>().map_err(|error| bad(error.to_string()))?;
        let value = hidden(secret.expose()).ok_or_else(|| bad(String::new()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The headers of one key; none when the key cannot travel in a header.
fn with_key(common: &HeaderMap, auth: Auth, key: &Secret) -> Option<HeaderMap> {
    let (name, value) = match auth {
        Auth::Bearer | Auth::SigV4(_) => {
            (header::AUTHORIZATION, hidden(&format!("Bearer {}", key.expose()))?)
        }
        Auth::Header(name) => (HeaderName::from_static(name), hidden(key.expose())?),
    };
    let mut headers = common.clone();
    // A header that the operator wrote stands.
    if !headers.contains_key(&name) {
        headers.insert(name, value);
    }
    Some(headers)
}

fn hidden(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    // Keeps the value out of debug output and out of HTTP/2's compression tables.
    value.set_sensitive(true);
    Some(value)
}

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use formats::MaxTokensName;

    use super::*;

    fn endpoint(kind: &str, base_url: Option<&str>) -> Endpoint {
        let key = config::SecretSource::Value {
            value: Secret::new("hunter2"),
            variable: None,
            place: None,
        };
        let configured = config::Provider {
            name: "p".to_owned(),
            kind: kind.to_owned(),
            base_url: None,
            keys: vec![key],
            headers: BTreeMap::new(),
            api_version: None,
            region: None,
            timeout: None,
            limits: config::ProviderLimits::default(),
            probe: None,
            connection: config::ConnectionOptions::default(),
            script: None,
        };
        let resolve = |it: &config::SecretSource| match it {
            config::SecretSource::Value { value, .. } => Some(value.clone()),
            config::SecretSource::Parameter { .. } => None,
        };
        let signer = Signer::new(Some("eu-west-1".to_owned()), None);
        let provider = crate::find(kind).unwrap();
        Endpoint::new(provider, base_url, &configured, &resolve, &signer).unwrap()
    }

    fn address(kind: &str, base_url: Option<&str>, model: &str) -> String {
        endpoint(kind, base_url).apis[0].address(model, false).unwrap().to_string()
    }

    #[test]
    fn a_base_url_without_a_path_gets_the_version() {
        let wanted = "http://h:1/v1/chat/completions";
        for base_url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(address("openai", Some(base_url), "m"), wanted);
        }
        assert_eq!(address("openai", Some("http://h/x"), "m"), "http://h/x/chat/completions");
        assert_eq!(address("openai", None, "m"), "https://api.openai.com/v1/chat/completions");
    }

    #[test]
    fn azure_has_the_model_in_its_path_and_the_key_in_its_own_header() {
        let azure = endpoint("azure-openai", Some("https://r.openai.azure.com"));
        assert_eq!(
            azure.apis[0].address("gpt 4/../o", true).unwrap().to_string(),
            "https://r.openai.azure.com/openai/deployments/gpt%204%2F..%2Fo/chat/completions\
             ?api-version=2024-10-21"
        );
        assert_eq!(azure.headers(routing::fingerprint("hunter2")).unwrap()["api-key"], "hunter2");
        assert!(azure.apis[0].address("..", false).is_err());
    }

    #[test]
    fn bedrock_has_the_region_in_its_host_and_the_model_in_its_path() {
        let bedrock = endpoint("bedrock", None);
        let arn =
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-v1:0";
        assert_eq!(
            bedrock.apis[0].address(arn, true).unwrap().to_string(),
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-west-1\
             %3A1%3Ainference-profile%2Feu.anthropic.claude-haiku-4-5-v1%3A0/converse-stream"
        );
        assert_eq!(
            bedrock.headers(routing::fingerprint("hunter2")).unwrap()["authorization"],
            "Bearer hunter2"
        );
        assert!(bedrock.signing.is_none(), "a key of its own is taken first");
        assert_eq!(
            address("bedrock", Some("http://127.0.0.1:1/"), "m"),
            "http://127.0.0.1:1/model/m/converse"
        );
        assert_eq!(
            address("bedrock-anthropic", None, "m"),
            "https://bedrock-runtime.eu-west-1.amazonaws.com/anthropic/v1/messages"
        );
        assert_eq!(
            address("bedrock-openai", None, "m"),
            "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions"
        );
    }

    #[test]
    fn gemini_has_the_model_in_its_path_once_and_streams_elsewhere() {
        let gemini = endpoint("gemini", None);
        let whole = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash";
        for name in ["gemini-3.5-flash", "models/gemini-3.5-flash"] {
            let address = |stream| gemini.apis[0].address(name, stream).unwrap().to_string();
            assert_eq!(address(false), format!("{whole}:generateContent"));
            assert_eq!(address(true), format!("{whole}:streamGenerateContent?alt=sse"));
        }
        assert_eq!(
            gemini.headers(routing::fingerprint("hunter2")).unwrap()["x-goog-api-key"],
            "hunter2"
        );
    }

    #[test]
    fn only_openai_itself_gets_openais_newer_words() {
        let name = |kind, address| endpoint(kind, address).compatibility.max_tokens_name;
        assert_eq!(name("openai", None), MaxTokensName::Completion);
        assert_eq!(name("openai", Some("http://h:1")), MaxTokensName::Either);
        assert_eq!(name("mistral", Some("http://h:1")), MaxTokensName::Plain);
        assert!(endpoint("openai", None).compatibility.developer_role);
        assert!(!endpoint("openai", Some("http://h:1")).compatibility.developer_role);
    }

    #[test]
    fn a_provider_that_refuses_unknown_fields_gets_no_reasoning_content() {
        assert!(endpoint("deepseek", None).compatibility.reasoning_content);
        assert!(!endpoint("groq", None).compatibility.reasoning_content);
        assert!(endpoint("groq", Some("http://h:1")).compatibility.reasoning_content);
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        let source =
            config::SecretSource::Parameter { name: "/team/key".to_owned(), variable: None };
        let missing = unreadable([(&source, &None)].into_iter());
        assert_eq!(
            missing.as_deref(),
            Some("the parameter /team/key is missing or may not be read")
        );
        assert_eq!(unreadable([(&source, &Some(Secret::new("x")))].into_iter()), None);
    }

    #[test]
    fn a_key_is_never_shown() {
        assert!(!format!("{:?}", endpoint("openai", None)).contains("hunter2"));
    }
}
