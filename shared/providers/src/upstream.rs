//! One HTTP call to a provider, answered from its first event.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Error, ErrorKind, Field, GatewayRequest, GatewayResponse, Origin,
    ResponseBody, Result, Task,
};
use config::{Config, ConflictResolution};
use formats::{DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Outbound, ToolNames};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use routing::{Attempt, Target};

use crate::{
    Client, EventStream, Fetched,
    endpoint::{Endpoint, Resolve},
    fetch::{Fetch, Wish},
    hints,
    mock::{self, Mock},
    stream::{Source, quoting_none},
};

/// How large a whole answer may be.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// How much of a failure is read.
const LARGEST_FAILURE: usize = 64 * 1024;
/// How long the body of a failure may take.
const FAILURE_TIME: Duration = Duration::from_secs(5);

/// Every configured provider, ready to be called.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    endpoints: HashMap<String, Result<Endpoint>>,
    idle_timeout: Duration,
    pub(crate) fetch: Fetch,
    /// Scripted providers play as long as this lives.
    _mocks: Vec<Mock>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct UpstreamRequest<'a> {
    /// The client's request.
    pub request: &'a GatewayRequest,
    /// Whether it is refused rather than sent with less than it says.
    pub strict: bool,
    /// The most that a model can write, in tokens, where that is known.
    pub max_output: &'a (dyn Fn(&Target) -> Option<u64> + Sync),
    /// What earlier steps of the same call have fetched.
    pub fetched: &'a Fetched,
}

impl fmt::Debug for UpstreamRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// What a provider answers.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Its HTTP status.
    pub status: u16,
    /// Its own name for the request, where a header says so.
    pub request_id: Option<String>,
    /// What it was not told, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The answer itself.
    pub body: UpstreamBody,
}

/// An answer, as it was asked for.
#[derive(Debug)]
pub enum UpstreamBody {
    /// All of it.
    Whole(GatewayResponse),
    /// Piece by piece; the first meaningful piece has arrived.
    Stream(EventStream),
}

impl Upstream {
    /// Prepares every provider of a document.
    pub fn new(client: Client, config: &Config, resolve: Resolve<'_>) -> Self {
        let mut mocks = vec![];
        let mut prepared = |it: &config::Provider| {
            let entry = crate::find(&it.kind)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "its type is not in the catalog"))?;
            if entry.base_url != mock::WITHIN {
                return Endpoint::new(entry, it.base_url.as_deref(), it, resolve, &client.signer);
            }
            let mock = Mock::start(it.script.clone().unwrap_or_default())?;
            let base_url = mock.base_url();
            mocks.push(mock);
            Endpoint::new(entry, Some(&base_url), it, resolve, &client.signer)
        };
        let endpoints = config.providers.iter().map(|it| (it.name.clone(), prepared(it))).collect();
        Self {
            client,
            endpoints,
            idle_timeout: config.idle_timeout,
            fetch: Fetch::new(config.fetch.as_ref()),
            _mocks: mocks,
        }
    }

    /// Why a step could not be tried at all, such as a key that is missing.
    pub fn fault(&self, step: &Target) -> Option<String> {
        let said = |error: &Error| error.message().to_owned();
        match self.endpoints.get(&step.provider)? {
            Err(error) => Some(said(error)),
            Ok(endpoint) => {
                let failures: Option<Vec<Error>> =
                    step.keys.iter().map(|key| endpoint.headers(*key).err()).collect();
                failures?.first().map(said)
            }
        }
    }

    /// Calls one candidate at `now` (milliseconds since 1970). Succeeds only with a whole answer, or
    /// with a first meaningful event.
    pub async fn send(
        &self,
        next: &Attempt,
        question: &UpstreamRequest<'_>,
        now: u64,
    ) -> Result<UpstreamResponse> {
        let step = next.target();
        let named = |error: Error| error.from_origin(Origin::Provider(step.provider.clone()));
        let endpoint = match self.endpoints.get(&step.provider) {
            Some(Ok(endpoint)) => endpoint,
            Some(Err(error)) => return Err(named(Error::new(error.kind, error.message()))),
            None => {
                return Err(named(Error::new(
                    ErrorKind::ProviderAccess,
                    "it is configured no longer",
                )));
            }
        };
        let time = Time::of(next, question.request);
        let call = self.call(endpoint, next, question, now);
        let outcome = match tokio::time::timeout(time.limit, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(ErrorKind::Timeout, time.message())),
        };
        outcome.map_err(|error| named(quoting_none(error, &endpoint.secrets)))
    }

    async fn call(
        &self,
        endpoint: &Endpoint,
        next: &Attempt,
        question: &UpstreamRequest<'_>,
        now: u64,
    ) -> Result<UpstreamResponse> {
        let (step, request) = (next.target(), question.request);
        let counts = request.task == Task::CountTokens;
        let mouth = match endpoint.mouth(request, &step.model) {
            Err(_) if counts => return estimated(request),
            mouth => mouth?,
        };
        let format = mouth.speech.format;
        let Written { encoded, dropped, names, purpose } =
            written(question, next, endpoint, format, &self.fetch).await?;
        let body = encoded.body;
        let mut post = http::Request::new(Full::new(body.clone()));
        *post.method_mut() = http::Method::POST;
        *post.uri_mut() = mouth.address(&step.model, request.stream)?;
        *post.headers_mut() = endpoint.headers(next.key)?.clone();
        add(&encoded.headers, post.headers_mut())?;
        if let Some(signing) = &endpoint.signing {
            signing.sign(&mut post, &body, now).await?;
        }

        let answer = self.client.connections.request(post).await.map_err(unreachable)?;
        let status = answer.status();
        if counts && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return estimated(request);
        }
        if status != StatusCode::OK {
            let mut error = failure(format, answer, now).await;
            if error.kind == ErrorKind::UnsupportedBeta && !encoded.headers.iter().any(is_beta) {
                error.kind = ErrorKind::InvalidRequest;
            }
            return Err(error);
        }
        let reading = DecodeOptions { purpose, end: endpoint.provider.stream_end };
        let (parts, incoming) = answer.into_parts();
        let request_id = hints::request_id(&parts.headers);
        let body = if request.stream && !is_json(&parts.headers) {
            let reader = names.restored(format.reader(reading));
            let source = Source { provider: &step.provider, secrets: endpoint.secrets.clone() };
            let mut events = EventStream::new(source, incoming, reader, self.idle_timeout);
            events.first().await?;
            UpstreamBody::Stream(events)
        } else {
            let mut response = format.response(whole(incoming).await?, reading)?;
            response.usage = response.usage.or_else(|| hints::usage(&parts.headers));
            if let ResponseBody::Chat(answer) = &mut response.body {
                names.restore(answer);
            }
            fit(&mut response, request)?;
            if request.stream {
                return Err(Error::new(
                    ErrorKind::Upstream,
                    "it answered whole where a stream was asked for",
                ));
            }
            UpstreamBody::Whole(response)
        };
        Ok(UpstreamResponse { status: status.as_u16(), request_id, dropped, body })
    }
}

/// Counts a request's tokens for a provider that cannot: nobody is asked.
fn estimated(request: &GatewayRequest) -> Result<UpstreamResponse> {
    let count = formats::estimated_tokens(request.meaning()?.conversation()?);
    let body = ResponseBody::Tokens { count, estimated: true };
    let response = GatewayResponse { body, usage: None };
    Ok(UpstreamResponse {
        status: 200,
        request_id: None,
        dropped: vec![],
        body: UpstreamBody::Whole(response),
    })
}

/// Does what a reader cannot, who does not know the request: holds the vectors against the texts,
/// and notes how the client wants them.
fn fit(response: &mut GatewayResponse, request: &GatewayRequest) -> Result<()> {
    let ResponseBody::Vectors(vectors) = &mut response.body else {
        return Ok(());
    };
    let asked = request.meaning()?.embedding()?;
    let (found, wanted) = (vectors.vectors.len(), asked.inputs.len());
    if found != wanted {
        let message = format!("it gave {found} embeddings where {wanted} were asked for");
        return Err(Error::new(ErrorKind::Upstream, message));
    }
    vectors.base64 = asked.base64;
    Ok(())
}

/// A request as one provider is sent it.
struct Written {
    encoded: EncodedRequest,
    /// What is not in it, by the client's names.
    dropped: Vec<Cow<'static, str>>,
    /// What tools are called there.
    names: ToolNames,
    purpose: DecodeMode,
}

/// Writes a request: the client's own bytes where the formats are the same, else what they mean.
async fn written(
    question: &UpstreamRequest<'_>,
    next: &Attempt,
    endpoint: &Endpoint,
    format: &dyn Outbound,
    fetch: &Fetch,
) -> Result<Written> {
    let (step, request) = (next.target(), question.request);
    let mut without = left_out(step, request).to_vec();
    without.extend_from_slice(&next.remedies.fields);
    let mut target = EncodeOptions {
        model: &step.model,
        stream: request.stream,
        stream_usage: endpoint.provider.stream_usage,
        dialect: endpoint.dialect,
        max_output: None,
        without: &without,
        unsigned: next.remedies.signatures,
    };
    let same = format.name() == request.format.name;
    let forwarded = same && !next.remedies.betas;
    // Bytes that are passed on have the client's limit, which is not looked up.
    if !forwarded || without.contains(&Field::MaxTokens) {
        target.max_output = (question.max_output)(step);
    }
    let word = request.format.word;
    let mut names = ToolNames::default();
    let (encoded, purpose, other) = if forwarded {
        (format.forward(request, &target)?, DecodeMode::Forward, &[][..])
    } else {
        let meaning = request.meaning()?;
        let limit = Time::of(next, request).limit;
        let wish = Wish { format, model: &step.model, word, fetched: question.fetched, limit };
        let mut told = told(meaning, &target);
        names = ToolNames::of(&told, format);
        if !names.is_empty() {
            told = Cow::Owned(names.tell(told.into_owned()));
        }
        let filled = fetch.filled(told, &wish).await?;
        let mut encoded = format.encode(&filled, &target)?;
        let lost = without.iter().filter(|it| **it != Field::MaxTokensName);
        encoded.dropped.extend(lost.cloned());
        (encoded, DecodeMode::Translate, meaning.other())
    };
    let mut dropped: Vec<Cow<'static, str>> = vec![];
    if same && !forwarded {
        let betas = request.headers.iter().filter(|it| is_beta(it));
        dropped.extend(betas.map(|it| Cow::Borrowed(it.0)));
    }
    let others = other.iter().map(|it| Cow::Owned(it.clone()));
    for name in encoded.dropped.iter().map(word).chain(others) {
        if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
    if question.strict && !dropped.is_empty() {
        return Err(cannot_say(&dropped));
    }
    Ok(Written { encoded, dropped, names, purpose })
}

/// What a request means to a provider: without what it has refused, and no more than it can.
fn told<'a>(
    meaning: &'a CanonicalRequest,
    target: &EncodeOptions<'_>,
) -> Cow<'a, CanonicalRequest> {
    let mut told = meaning.without(target.without);
    if target.unsigned {
        told = Cow::Owned(told.into_owned().unsigned());
    }
    // Some providers count their calls anew in each turn, and others refuse that.
    if let CanonicalRequest::Conversation(conversation) = &*told
        && !conversation.has_unique_ids()
    {
        let mut mended = conversation.clone();
        mended.make_ids_unique();
        told = Cow::Owned(CanonicalRequest::Conversation(mended));
    }
    // A limit above the model's own is none, but many refuse it.
    match (told.max_tokens(), target.max_output) {
        (Some(asked), Some(most)) if most < asked => {
            Cow::Owned(told.into_owned().with_max_tokens(most))
        }
        _ => told,
    }
}

/// Whether a header asks for what an API has on trial.
fn is_beta(header: &(&'static str, String)) -> bool {
    header.0.ends_with("-beta")
}

/// Adds the headers that belong to a request.
fn add(given: &[(&'static str, String)], headers: &mut HeaderMap) -> Result<()> {
    for (name, value) in given {
        let value = HeaderValue::from_str(value).map_err(|error| {
            let message = format!("The header `{name}` must be plain text.");
            Error::invalid(name, message).caused_by(error)
        })?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// What a step's conflict resolution takes out of a request that has both.
pub(crate) fn left_out(step: &Target, request: &GatewayRequest) -> &'static [Field] {
    if !request.has_tools_and_format {
        return &[];
    }
    match step.conflict_resolution {
        Some(ConflictResolution::Tools) => &[Field::Output],
        Some(ConflictResolution::Format) => {
            &[Field::Tools, Field::ToolChoice, Field::ParallelToolCalls]
        }
        None => &[],
    }
}

fn cannot_say(dropped: &[Cow<'static, str>]) -> Error {
    let fields = dropped.join("`, `");
    let message = format!("`{fields}` would be left out, and `X-Gateway-Strict` forbids that");
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = dropped.first().map(|it| it.clone().into_owned());
    error
}

/// How long one call may take, and what it is that takes too long.
struct Time {
    limit: Duration,
    first_token: bool,
}

impl Time {
    fn of(next: &Attempt, request: &GatewayRequest) -> Self {
        let first = next.target().first_token_timeout.filter(|_| request.stream);
        match first {
            Some(first) if first < next.timeout => Self { limit: first, first_token: true },
            _ => Self { limit: next.timeout, first_token: request.stream },
        }
    }

    fn message(&self) -> String {
        let what = if self.first_token { "no first token" } else { "no answer" };
        format!("{what} within {} s", self.limit.as_secs_f32())
    }
}

/// Reads a failure's status, headers and body.
async fn failure(format: &dyn Outbound, answer: http::Response<Incoming>, now: u64) -> Error {
    let (parts, incoming) = answer.into_parts();
    let read = Limited::new(incoming, LARGEST_FAILURE).collect();
    let body = match tokio::time::timeout(FAILURE_TIME, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let mut error = format.error(parts.status.as_u16(), &body);
    error.retry_after = hints::wait(&parts.headers, now).or(error.retry_after);
    error
}

async fn whole(incoming: Incoming) -> Result<Bytes> {
    match Limited::new(incoming, LARGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::new(ErrorKind::Upstream, "its answer is larger than 32 MiB"))
        }
        Err(error) => Err(Error::new(ErrorKind::Network, "its answer was cut").caused_by(error)),
    }
}

fn unreachable(error: hyper_util::client::legacy::Error) -> Error {
    let message = if error.is_connect() {
        "it could not be reached"
    } else {
        "the connection broke before it answered"
    };
    Error::new(ErrorKind::Network, message).caused_by(error)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&[][..], |it| it.as_bytes());
    kind.get(..16).is_some_and(|it| it.eq_ignore_ascii_case(b"application/json"))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use canonical::Vectors;
    use formats::{
        Inbound, anthropic::messages::AnthropicCount, openai::embeddings::OpenAiEmbeddings,
    };
    use routing::{Failover, Limits, ModelQuery, Routes};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What comes of asking a provider of this type, at this address, for a count.
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
        let upstream = Upstream::new(Client::new(storage::Signer::default()), &config, &|_| None);
        let routes = Routes::new(&config, &|_, _| None, &|_| None);
        let plan = routes.resolve(ModelQuery { model: Some("m"), provider: None }).unwrap();
        let arrived = Instant::now();
        let limits = Limits { arrived, deadline: arrived + Duration::from_secs(60), seed: 0 };
        let next = Failover::new(plan, Arc::default(), limits).next(arrived).unwrap();
        let body = r#"{"messages":[{"role":"user","content":"How many tokens are these?"}]}"#;
        let request = AnthropicCount.decode(Bytes::from_static(body.as_bytes())).unwrap();
        let fetched = Fetched::default();
        let question = UpstreamRequest {
            request: &request,
            strict: true,
            max_output: &|_| None,
            fetched: &fetched,
        };
        upstream.send(&next, &question, 0).await
    }

    fn is_estimate(answer: &UpstreamResponse) -> bool {
        let UpstreamBody::Whole(response) = &answer.body else {
            return false;
        };
        matches!(response.body, ResponseBody::Tokens { count: 10..20, estimated: true })
    }

    /// A provider that has this status for everybody.
    async fn answering(status: u16) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(socket.read(&mut [0; 4096]).await);
            let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\n{{}}");
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn nobody_is_asked_for_a_count_that_nobody_makes() {
        let answer = counted("openai", "http://127.0.0.1:1").await.unwrap();
        assert!(is_estimate(&answer), "{answer:?}");
        assert_eq!(answer.status, 200);
    }

    #[tokio::test]
    async fn who_has_no_such_endpoint_after_all_does_not_count() {
        for status in [404, 405] {
            let answer = counted("anthropic", &answering(status).await).await.unwrap();
            assert!(is_estimate(&answer), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn another_failure_to_count_is_one() {
        let error = counted("anthropic", &answering(503).await).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Upstream);
    }

    fn fitted(question: &'static str, vectors: usize) -> Result<Vectors> {
        let request = OpenAiEmbeddings.decode(Bytes::from_static(question.as_bytes())).unwrap();
        let vectors = Vectors { vectors: vec![vec![1.0]; vectors], base64: false };
        let mut response = GatewayResponse { body: ResponseBody::Vectors(vectors), usage: None };
        fit(&mut response, &request)?;
        let ResponseBody::Vectors(vectors) = response.body else { panic!("{response:?}") };
        Ok(vectors)
    }

    #[test]
    fn there_is_one_vector_for_each_text() {
        let two = r#"{"input":["a","b"]}"#;
        assert_eq!(fitted(two, 1).unwrap_err().kind, ErrorKind::Upstream);
        assert_eq!(fitted(two, 3).unwrap_err().kind, ErrorKind::Upstream);
        assert!(!fitted(two, 2).unwrap().base64);
    }

    #[test]
    fn vectors_are_wanted_as_the_request_says() {
        assert!(fitted(r#"{"input":"a","encoding_format":"base64"}"#, 1).unwrap().base64);
    }
}
