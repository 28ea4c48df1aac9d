//! One HTTP call to a provider, answered from its first event.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use bytes::Bytes;
use canonical::{Error, Field, Kind, Origin, Request, Response, Result};
use formats::{Encoded, Outbound, Purpose, Reading, Target};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use routing::{
    Document, Step, Try,
    document::{self, ConflictResolution},
};

use crate::{
    Client, Events, Fetched,
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
pub struct Question<'a> {
    /// The client's request.
    pub request: &'a Request,
    /// Whether it is refused rather than sent with less than it says.
    pub strict: bool,
    /// The most that a model can write, in tokens, where that is known.
    pub max_output: &'a (dyn Fn(&Step) -> Option<u64> + Sync),
    /// What earlier steps of the same call have fetched.
    pub fetched: &'a Fetched,
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// What a provider answers.
#[derive(Debug)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// What it was not told, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The answer itself.
    pub body: Body,
}

/// An answer, as it was asked for.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Response),
    /// Piece by piece; the first meaningful piece has arrived.
    Stream(Events),
}

impl Upstream {
    /// Prepares every provider of a document.
    pub fn new(client: Client, document: &Document, resolve: Resolve<'_>) -> Self {
        let mut mocks = vec![];
        let mut prepared = |it: &document::Provider| {
            let entry = crate::find(&it.kind)
                .ok_or_else(|| Error::new(Kind::Internal, "its type is not in the catalog"))?;
            if entry.base_url != mock::WITHIN {
                return Endpoint::new(entry, it.base_url.as_deref(), it, resolve, &client.signer);
            }
            let mock = Mock::start(it.script.clone().unwrap_or_default())?;
            let base_url = mock.base_url();
            mocks.push(mock);
            Endpoint::new(entry, Some(&base_url), it, resolve, &client.signer)
        };
        let endpoints =
            document.providers.iter().map(|it| (it.name.clone(), prepared(it))).collect();
        Self {
            client,
            endpoints,
            idle_timeout: document.idle_timeout,
            fetch: Fetch::new(document.fetch.as_ref()),
            _mocks: mocks,
        }
    }

    /// Why a step could not be tried at all, such as a key that is missing.
    pub fn fault(&self, step: &Step) -> Option<String> {
        let said = |error: &Error| error.message().to_owned();
        match self.endpoints.get(&step.provider)? {
            Err(error) => Some(said(error)),
            Ok(endpoint) => {
                let usable = (0..step.keys).any(|it| endpoint.headers(it).is_ok());
                if usable { None } else { endpoint.headers(0).err().as_ref().map(said) }
            }
        }
    }

    /// Calls one candidate at `now` (milliseconds since 1970). Succeeds only with a whole answer, or
    /// with a first meaningful event.
    pub async fn send(&self, next: &Try, question: &Question<'_>, now: u64) -> Result<Answer> {
        let step = next.step();
        let named = |error: Error| error.from_origin(Origin::Provider(step.provider.clone()));
        let endpoint = match self.endpoints.get(&step.provider) {
            Some(Ok(endpoint)) => endpoint,
            Some(Err(error)) => return Err(named(Error::new(error.kind, error.message()))),
            None => return Err(named(Error::new(Kind::Refused, "it is configured no longer"))),
        };
        let time = Time::of(next, question.request);
        let call = self.call(endpoint, next, question, now);
        let outcome = match tokio::time::timeout(time.limit, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(Kind::Timeout, time.message())),
        };
        outcome.map_err(|error| named(quoting_none(error, &endpoint.secrets)))
    }

    async fn call(
        &self,
        endpoint: &Endpoint,
        next: &Try,
        question: &Question<'_>,
        now: u64,
    ) -> Result<Answer> {
        let (step, request) = (next.step(), question.request);
        let mouth = endpoint.mouth(request, &step.model)?;
        let format = mouth.speech.format;
        let Written { encoded, dropped, purpose } =
            written(question, next, endpoint, format, &self.fetch).await?;
        let body = encoded.body;
        let mut post = http::Request::new(Full::new(body.clone()));
        *post.method_mut() = http::Method::POST;
        *post.uri_mut() = mouth.address(&step.model, request.stream)?;
        *post.headers_mut() = endpoint.headers(next.key)?.clone();
        add(&encoded.headers, post.headers_mut())?;
        if let Some(signing) = &endpoint.signing {
            signing.sign(&mut post, &body, now)?;
        }

        let answer = self.client.connections.request(post).await.map_err(unreachable)?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(failure(format, answer, now).await);
        }
        let reading = Reading { purpose, end: endpoint.provider.stream_end };
        let (parts, incoming) = answer.into_parts();
        let body = if request.stream && !is_json(&parts.headers) {
            let reader = format.reader(reading);
            let source = Source { provider: &step.provider, secrets: endpoint.secrets.clone() };
            let mut events = Events::new(source, incoming, reader, self.idle_timeout);
            events.first().await?;
            Body::Stream(events)
        } else {
            let response = format.response(whole(incoming).await?, reading)?;
            if request.stream {
                return Err(Error::new(
                    Kind::Upstream,
                    "it answered whole where a stream was asked for",
                ));
            }
            Body::Whole(response)
        };
        Ok(Answer { status: status.as_u16(), dropped, body })
    }
}

/// A request as one provider is sent it.
struct Written {
    encoded: Encoded,
    /// What is not in it, by the client's names.
    dropped: Vec<Cow<'static, str>>,
    purpose: Purpose,
}

/// Writes a request: the client's own bytes where the formats are the same, else what they mean.
async fn written(
    question: &Question<'_>,
    next: &Try,
    endpoint: &Endpoint,
    format: &dyn Outbound,
    fetch: &Fetch,
) -> Result<Written> {
    let (step, request) = (next.step(), question.request);
    let without = left_out(step, request);
    let mut target = Target {
        model: &step.model,
        stream: request.stream,
        stream_usage: endpoint.provider.stream_usage,
        max_tokens_name: endpoint.max_tokens_name,
        max_output: None,
        without,
    };
    let word = request.format.word;
    let (encoded, purpose, other) = if format.name() == request.format.name {
        (format.forward(request, &target)?, Purpose::Forward, &[][..])
    } else {
        target.max_output = (question.max_output)(step);
        let meaning = request.meaning()?;
        let limit = Time::of(next, request).limit;
        let wish = Wish { format, model: &step.model, word, fetched: question.fetched, limit };
        let filled = fetch.filled(meaning.without(without), &wish).await?;
        let mut encoded = format.encode(&filled, &target)?;
        encoded.dropped.extend_from_slice(without);
        (encoded, Purpose::Translate, meaning.other())
    };
    let mut dropped: Vec<Cow<'static, str>> = vec![];
    let others = other.iter().map(|it| Cow::Owned(it.clone()));
    for name in encoded.dropped.iter().map(word).chain(others) {
        if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
    if question.strict && !dropped.is_empty() {
        return Err(cannot_say(&dropped));
    }
    Ok(Written { encoded, dropped, purpose })
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
pub(crate) fn left_out(step: &Step, request: &Request) -> &'static [Field] {
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
    let mut error = Error::new(Kind::Inexpressible, message);
    error.param = dropped.first().map(|it| it.clone().into_owned());
    error
}

/// How long one call may take, and what it is that takes too long.
struct Time {
    limit: Duration,
    first_token: bool,
}

impl Time {
    fn of(next: &Try, request: &Request) -> Self {
        let first = next.step().first_token_timeout.filter(|_| request.stream);
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
            Err(Error::new(Kind::Upstream, "its answer is larger than 32 MiB"))
        }
        Err(error) => Err(Error::new(Kind::Network, "its answer was cut").caused_by(error)),
    }
}

fn unreachable(error: hyper_util::client::legacy::Error) -> Error {
    let message = if error.is_connect() {
        "it could not be reached"
    } else {
        "the connection broke before it answered"
    };
    Error::new(Kind::Network, message).caused_by(error)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&[][..], |it| it.as_bytes());
    kind.get(..16).is_some_and(|it| it.eq_ignore_ascii_case(b"application/json"))
}
