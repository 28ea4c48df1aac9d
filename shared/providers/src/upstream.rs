//! One call to one provider, which succeeds with a whole response or with a first meaningful event.
//!
//! What is sent is prepared in `request`, what comes back is decoded in `response`; whom to call
//! next is decided by `routing`.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Error, ErrorKind, Field, GatewayResponse, Origin, Remedy, ResponseBody,
    Result, Task,
};
use config::{Config, ConnectionOptions, Proxy};
use formats::{DecodeMode, GatewayRequest, Prefill};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use routing::{Attempt, Target};

use crate::{
    Client, EventStream, FetchedMedia,
    connections::{Connections, HttpRequest},
    endpoint::{ApiAddress, Endpoint, ResolveSecret},
    fetch::Fetch,
    memory::MemoryBudget,
    mock::{self, Mock},
    redaction::{redact_error, redact_quotes},
    request::{PreparedRequest, add_headers, is_beta, prepare},
    response::{self, ResponseContext},
    response_headers,
};

/// The header by which traces go on (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Every configured provider, ready to be called.
#[derive(Debug)]
pub struct Upstream {
    pub(crate) providers: HashMap<String, Result<ReachableProvider>>,
    idle_timeout: Duration,
    pub(crate) fetch: Fetch,
    memory: MemoryBudget,
    /// Scripted providers play as long as this lives.
    _mocks: Vec<Mock>,
}

/// One provider, and the connections that lead to it.
#[derive(Debug)]
pub(crate) struct ReachableProvider {
    pub(crate) endpoint: Endpoint,
    pub(crate) connections: Connections,
}

/// The request of one call to a provider.
#[derive(Clone, Copy)]
pub struct UpstreamRequest<'a> {
    /// The client's request.
    pub request: &'a GatewayRequest,
    /// Whether it is refused rather than sent with less than it says.
    pub strict: bool,
    /// The media that earlier attempts of the same call have fetched.
    pub fetched: &'a FetchedMedia,
    /// How many bytes of the response are kept; none where nobody wants them.
    pub keep: Option<usize>,
    /// The `traceparent` header by which the provider's spans follow those of the attempt.
    pub traceparent: Option<&'a str>,
    /// The request that is sent in place of the client's own, to go on with a response.
    pub continued: Option<&'a CanonicalRequest>,
    /// Whether a stream is decoded that could pass through, since it may have to be continued.
    pub decodes: bool,
}

impl fmt::Debug for UpstreamRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamRequest").field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// A provider's response.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The HTTP status of the provider.
    pub status: u16,
    /// The provider's own name for the request, where a header gives one.
    pub request_id: Option<String>,
    /// The media type of a body that passes through as it comes.
    pub content_type: Option<String>,
    /// The fields that the provider was not sent, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The name of the wire format.
    pub format: &'static str,
    /// The bytes of a whole response, where they are kept.
    pub kept: Option<Bytes>,
    /// How long until a limit is free again that this request has used up.
    pub limit_reset: Option<Duration>,
    /// The response itself.
    pub body: UpstreamBody,
}

/// A response in the form that the client asked for.
#[derive(Debug)]
pub enum UpstreamBody {
    /// All of it.
    Whole(GatewayResponse),
    /// A stream whose first meaningful event has arrived.
    Stream(EventStream),
}

impl Upstream {
    /// Prepares every provider of a configuration.
    pub fn new(client: &Client, config: &Config, resolve: ResolveSecret<'_>) -> Self {
        let mut mocks = vec![];
        let mut providers = HashMap::new();
        for configured in &config.providers {
            let provider = reachable(client, config, configured, resolve, &mut mocks);
            if let Err(error) = &provider {
                // A provider that cannot be used must not keep the others from being called.
                let reason = with_cause(error);
                tracing::error!(provider = configured.name, reason, "a provider cannot be used");
            }
            providers.insert(configured.name.clone(), provider);
        }
        Self {
            providers,
            idle_timeout: config.idle_timeout,
            fetch: Fetch::new(config.fetch.as_ref()),
            memory: client.memory.clone(),
            _mocks: mocks,
        }
    }

    /// What is called at a provider; an error where it cannot be used.
    pub(crate) fn endpoint_of(&self, name: &str) -> Result<&Endpoint> {
        self.reachable(name).map(|it| &it.endpoint)
    }

    /// The connections that lead to a provider.
    pub(crate) fn connections_of(&self, name: &str) -> Result<&Connections> {
        self.reachable(name).map(|it| &it.connections)
    }

    /// Silence that is allowed inside a body.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    fn reachable(&self, name: &str) -> Result<&ReachableProvider> {
        match self.providers.get(name) {
            Some(Ok(provider)) => Ok(provider),
            Some(Err(error)) => Err(Error::new(error.kind, error.message())),
            None => {
                let message = "is no longer in the configuration";
                Err(Error::new(ErrorKind::ProviderAccess, message))
            }
        }
    }

    /// Whether a target's provider has a field for a message of the model that is left open.
    pub fn takes_prefill(&self, target: &Target) -> bool {
        let provider = self.providers.get(&target.provider);
        let endpoint = provider.and_then(|it| it.as_ref().ok()).map(|it| &it.endpoint);
        endpoint.is_some_and(|it| it.compatibility.prefill != Prefill::None)
    }

    /// Why a target could not be attempted at all, such as a key that is missing.
    pub fn unusable_reason(&self, target: &Target) -> Option<String> {
        match self.providers.get(&target.provider)? {
            Err(error) => Some(with_cause(error)),
            Ok(provider) => {
                let endpoint = &provider.endpoint;
                let failures: Option<Vec<Error>> =
                    target.keys.iter().map(|key| endpoint.headers(*key).err()).collect();
                // One usable key is enough; `collect` gives nothing where any key has no failure.
                failures?.first().map(with_cause)
            }
        }
    }

    /// The endpoint of a provider that can be called.
    pub(crate) fn endpoint(&self, provider: &str) -> Option<&Endpoint> {
        self.providers.get(provider)?.as_ref().ok().map(|it| &it.endpoint)
    }

    /// The memory that whole responses are held in.
    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// Calls one target at `now` (milliseconds since 1970). Succeeds only with a whole response, or
    /// with a first meaningful event.
    pub async fn send(
        &self,
        attempt: &Attempt,
        upstream_request: &UpstreamRequest<'_>,
        now: u64,
    ) -> Result<UpstreamResponse> {
        let name = &attempt.target().provider;
        let from_provider = |error: Error| error.from_origin(Origin::Provider(name.clone()));
        let provider = self.reachable(name).map_err(from_provider)?;

        let limit = TimeLimit::of(attempt, upstream_request.request);
        let call = self.call(provider, attempt, upstream_request, now);
        // Dropping the call closes its connection or resets its stream, by which a provider learns
        // that nobody waits.
        let outcome = match tokio::time::timeout(limit.duration, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(from_provider(Error::new(ErrorKind::Timeout, limit.message()))),
        };
        outcome.map_err(|error| {
            let error = redact_error(error, &provider.endpoint.secrets);
            redact_quotes(error, upstream_request.request)
        })
    }

    async fn call(
        &self,
        provider: &ReachableProvider,
        attempt: &Attempt,
        upstream_request: &UpstreamRequest<'_>,
        now: u64,
    ) -> Result<UpstreamResponse> {
        let endpoint = &provider.endpoint;
        let (target, request) = (attempt.target(), upstream_request.request);
        let from_provider =
            |error: Error| error.from_origin(Origin::Provider(target.provider.clone()));
        let api = match endpoint.api(request, &target.facts, &attempt.remedies.fields) {
            // A client that plans its context by the count is served better by an estimate than by
            // an error.
            Err(_) if request.task == Task::CountTokens => return estimate_tokens(request),
            api => api.map_err(from_provider)?,
        };
        let format = api.api.format;
        // Nothing was sent yet: what is wrong with the request is the gateway's to say.
        let prepared = prepare(upstream_request, attempt, endpoint, format, &self.fetch).await?;
        let exchange = self.exchange(provider, attempt, upstream_request, (api, prepared, now));
        exchange.await.map_err(from_provider)
    }

    /// Sends a request that is prepared, and decodes the response.
    async fn exchange(
        &self,
        provider: &ReachableProvider,
        attempt: &Attempt,
        upstream_request: &UpstreamRequest<'_>,
        (api, prepared, now): (&ApiAddress, PreparedRequest, u64),
    ) -> Result<UpstreamResponse> {
        let endpoint = &provider.endpoint;
        let (target, request) = (attempt.target(), upstream_request.request);
        let (counts_tokens, format) = (request.task == Task::CountTokens, api.api.format);
        let mut http_request =
            http_request(endpoint, api, attempt, &prepared, (request.stream, now)).await?;

        let traceparent = upstream_request.traceparent.map(HeaderValue::from_str);

        if let Some(Ok(traceparent)) = traceparent {
            http_request.headers.to_mut().insert(TRACEPARENT, traceparent);
        }
        let response = provider.connections.send(http_request).await?;
        let status = response.status();
        if counts_tokens && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        {
            return estimate_tokens(request);
        }

        if !status.is_success() {
            let error = failure(response, &prepared, now).await;
            return Err(without_compaction(error, request, prepared.mode));
        }

        let (head, body) = response.into_parts();
        let mode = prepared.mode;
        let context = ResponseContext {
            provider: &target.provider,
            model: &target.model,
            endpoint,
            format,
            request,
            mode,
            tool_names: prepared.tool_names,
            idle_timeout: self.idle_timeout,
            memory: &self.memory,
            keep: upstream_request.keep,
        };

        let content_type = head.headers.get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|it| it.to_str().ok()).map(str::to_owned);
        // Read before the body, which takes the response apart.
        let request_id = response::request_id(&head.headers, &endpoint.secrets);
        let limit_reset = response_headers::limit_reset(&head.headers, now);
        let decoded = response::decode(context, &head.headers, body).await;
        let decoded = decoded.map_err(|error| without_compaction(error, request, mode))?;
        Ok(UpstreamResponse {
            status: status.as_u16(),
            request_id,
            content_type: content_type.filter(|_| request.task.is_opaque()),
            dropped: prepared.dropped,
            format: format.outbound().name(),
            limit_reset,
            kept: decoded.kept,
            body: decoded.body,
        })
    }
}

/// A failure as operators read it: with its cause, which clients do not get.
fn with_cause(error: &Error) -> String {
    match error.cause() {
        Some(cause) => format!("{}: {cause}", error.message()),
        None => error.message().to_owned(),
    }
}

fn reachable(
    client: &Client,
    config: &Config,
    configured: &config::Provider,
    resolve: ResolveSecret<'_>,
    mocks: &mut Vec<Mock>,
) -> Result<ReachableProvider> {
    let provider = crate::find(&configured.kind).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "has a `type` that is not in the catalog")
    })?;
    if provider.base_url == mock::WITHIN {
        let mock = Mock::start(configured.script.clone().unwrap_or_default())?;
        let base_url = mock.base_url();
        mocks.push(mock);
        // What is within this process is not reached through a proxy.
        let options =
            ConnectionOptions { proxy: Some(Proxy::None), ..ConnectionOptions::default() };
        let connections = client.connections(&options, &config.pool, resolve)?;
        let endpoint =
            Endpoint::new(provider, Some(&base_url), configured, resolve, &client.signer)?;
        return Ok(ReachableProvider { endpoint, connections });
    }

    let options = configured.connection.or(&config.connection);
    let connections = client.connections(&options, &config.pool, resolve)?;
    let base_url = configured.base_url.as_deref();
    let endpoint = Endpoint::new(provider, base_url, configured, resolve, &client.signer)?;
    Ok(ReachableProvider { endpoint, connections })
}

/// The HTTP request of an attempt, signed where that is wanted.
async fn http_request<'e>(
    endpoint: &'e Endpoint,
    api: &ApiAddress,
    attempt: &Attempt,
    prepared: &PreparedRequest,
    (stream, now): (bool, u64),
) -> Result<HttpRequest<'e>> {
    let url = api.address(&attempt.target().model, stream)?;
    let body = prepared.encoded.body.clone();
    // Copied only where something is added: nearly every call sends the same headers.
    let mut headers = Cow::Borrowed(endpoint.headers(attempt.key)?);
    if !prepared.encoded.headers.is_empty() {
        add_headers(&prepared.encoded.headers, headers.to_mut())?;
    }
    if let Some(signing) = &endpoint.signing {
        // Last, because the signature covers the body and some headers.
        signing.sign(&url, headers.to_mut(), &body, now).await?;
    }
    Ok(HttpRequest { method: Method::POST, url, headers, body })
}

/// Decodes a failure. A beta that was not requested is no reason to repeat the request without it.
async fn failure(
    response: http::Response<reqwest::Body>,
    prepared: &PreparedRequest,
    now: u64,
) -> Error {
    let mut error = response::decode_error(response, now).await;
    let has_beta = prepared.encoded.headers.iter().any(is_beta);
    if error.remedy == Some(Remedy::DropBetas) && !has_beta {
        (error.kind, error.remedy) = (ErrorKind::InvalidRequest, None);
    }
    error
}

/// Lets a target that refuses to compact a conversation, or does not know how, be asked for a
/// summary.
fn without_compaction(mut error: Error, request: &GatewayRequest, mode: DecodeMode) -> Error {
    let is_refusal = match error.kind {
        ErrorKind::InvalidRequest | ErrorKind::Unsupported => true,
        ErrorKind::Rejected => error.remedy.is_none(),
        ErrorKind::ProviderAccess | ErrorKind::Upstream if error.provider_status.is_none() => true,
        // Whatever the words: who does not have the path has no compaction.
        _ => matches!(error.provider_status, Some(404 | 405 | 501)),
    };
    if request.compacts && mode == DecodeMode::Passthrough && is_refusal {
        error.kind = ErrorKind::Rejected;
        error.remedy = Some(Remedy::DropParam(Field::Compaction));
    }
    error
}

/// Estimates a request's tokens for a provider that does not count them. Nothing is sent.
fn estimate_tokens(request: &GatewayRequest) -> Result<UpstreamResponse> {
    let count = formats::estimated_tokens(request.canonical()?.conversation()?);
    let body = ResponseBody::Tokens { count, estimated: true };
    let response = GatewayResponse { body, usage: None, facts: None };
    Ok(UpstreamResponse {
        status: 200,
        request_id: None,
        content_type: None,
        dropped: vec![],
        format: "",
        kept: None,
        limit_reset: None,
        body: UpstreamBody::Whole(response),
    })
}

/// How long one attempt may take, and what has to come within that time.
pub(crate) struct TimeLimit {
    pub(crate) duration: Duration,
    awaits: Awaited,
}

#[derive(Clone, Copy)]
enum Awaited {
    FirstToken,
    WholeResponse,
}

impl TimeLimit {
    pub(crate) fn of(attempt: &Attempt, request: &GatewayRequest) -> Self {
        if !request.stream {
            return Self { duration: attempt.timeout, awaits: Awaited::WholeResponse };
        }
        let first_token = attempt.target().first_token_timeout.unwrap_or(attempt.timeout);
        // A first token after the whole time would be no use.
        Self { duration: first_token.min(attempt.timeout), awaits: Awaited::FirstToken }
    }

    fn message(&self) -> String {
        let seconds = self.duration.as_secs_f32();
        match self.awaits {
            Awaited::FirstToken => format!("sent no first token within {seconds} s"),
            Awaited::WholeResponse => format!("sent no response within {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use formats::{Inbound, anthropic::messages::AnthropicCount};
    use routing::{Failover, Limits, ModelQuery, Routes};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::ProxyVariables;

    /// What a provider of this type, at this address, responds to a request for a count.
    async fn counted(name: &'static str, base_url: &str) -> Result<UpstreamResponse> {
        let yaml = format!(
            "providers: [{{ name: first, type: {name}, base_url: '{base_url}' }}]\n\
             models: [{{ name: m, provider: first }}]"
        );
        let kind = config::ProviderKind {
            name,
            needs_base_url: false,
            needs_key: false,
            takes_region: false,
        };
        let config = config::read(&yaml, &|_| None, &[kind]).unwrap();
        let client = Client::new(storage::Signer::default(), ProxyVariables::default());
        let upstream = Upstream::new(&client, &config, &|_| None);
        let routes = Routes::new(&config, Arc::new(()), &|_| None);
        let plan = routes.resolve(ModelQuery { model: Some("m"), provider: None }).unwrap();
        let arrived = Instant::now();
        let limits = Limits { arrived, deadline: arrived + Duration::from_secs(60), seed: 0 };
        let attempt = Failover::new(plan, Arc::default(), limits).next(arrived).unwrap();
        let body = r#"{"messages":[{"role":"user","content":"How many tokens are these?"}]}"#;
        let request = AnthropicCount.decode(Bytes::from_static(body.as_bytes())).unwrap();
        let fetched = FetchedMedia::default();
        let request = UpstreamRequest {
            request: &request,
            strict: true,
            fetched: &fetched,
            keep: None,
            traceparent: None,
            continued: None,
            decodes: false,
        };
        upstream.send(&attempt, &request, 0).await
    }

    fn is_estimate(counted: &UpstreamResponse) -> bool {
        let UpstreamBody::Whole(response) = &counted.body else {
            return false;
        };
        matches!(response.body, ResponseBody::Tokens { count: 10..20, estimated: true })
    }

    /// A provider that has this status for everybody.
    async fn responding(status: u16) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(socket.read(&mut [0; 4096]).await);
            let response = format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\n{{}}");
            socket.write_all(response.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn tokens_are_estimated_where_no_provider_counts_them() {
        let response = counted("openai", "http://127.0.0.1:1").await.unwrap();
        assert!(is_estimate(&response), "{response:?}");
        assert_eq!(response.status, 200);
    }

    #[tokio::test]
    async fn who_has_no_such_endpoint_after_all_does_not_count() {
        for status in [404, 405] {
            let response = counted("anthropic", &responding(status).await).await.unwrap();
            assert!(is_estimate(&response), "{response:?}");
        }
    }

    #[tokio::test]
    async fn another_failure_to_count_is_one() {
        let error = counted("anthropic", &responding(503).await).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Upstream);
    }
}
