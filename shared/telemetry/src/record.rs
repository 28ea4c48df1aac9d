//! Call records: what is kept of one request to the gateway, whatever became of it.
//!
//! Keys and headers are never part of a record; prompts and responses only where the configuration
//! says to keep them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use canonical::{AttemptRecord, CallSummary, Error, MicroDollars, Outcome, Usage};

/// What is kept of one request.
#[derive(Clone, Debug, Default)]
pub struct CallRecord {
    /// The call's id: the client's own, or a new one.
    pub id: String,
    /// The trace that the call belongs to: 32 hexadecimal digits.
    pub trace_id: String,
    /// When the request arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// Whom the call was authenticated as; absent when it was not.
    pub principal: Option<Principal>,
    /// What was requested.
    pub request: RequestFacts,
    /// The route; absent where the client named a provider's model, or nothing that is known.
    pub route: Option<String>,
    /// The provider that responded, by its name in the configuration.
    pub provider: Option<String>,
    /// The provider's name for the model that responded.
    pub model: Option<String>,
    /// The model that the provider itself named in its response.
    pub answered_model: Option<String>,
    /// Whether the configuration names the target, as a step of a route or as a model. A model that
    /// only clients name is no label of a metric.
    pub is_configured: bool,
    /// Every attempt, in the order in which they began.
    pub attempts: Vec<AttemptRecord>,
    /// The tokens that were consumed; absent where that is neither reported nor estimated.
    pub usage: Option<UsageRecord>,
    /// What the call cost; absent when usage or price is unknown.
    pub cost: Option<MicroDollars>,
    /// Whether the response cache was asked, and what it had.
    pub cache: Option<CacheOutcome>,
    /// What a response from the cache has saved; absent for others.
    pub saved: Option<MicroDollars>,
    /// What was held of the tenant's budget before the call.
    pub hold: Option<MicroDollars>,
    /// What was settled against the tenant's budget after the call.
    pub settled: Option<MicroDollars>,
    /// How long each part of the call took.
    pub timings: Timings,
    /// What the provider was not sent, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The provider's id for the request.
    pub provider_request_id: Option<String>,
    /// Why the model stopped, in the provider's words where bytes are passed through.
    pub finish_reason: Option<String>,
    /// What the client says of itself.
    pub client: ClientFacts,
    /// Where the call stands in its trace.
    pub span: SpanContext,
    /// What was asked and answered; absent unless the configuration says to keep it.
    pub content: Option<CallContent>,
    /// What the log says of both; absent unless the configuration wants that.
    pub excerpt: Option<CallExcerpt>,
    /// How the call ended.
    pub end: CallEnd,
}

/// What a client says of itself and of its call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// The `User-Agent` header, cut.
    pub user_agent: Option<String>,
    /// The session: `X-Session-Id`, else `metadata.session_id` or `user` of the body.
    pub session: Option<String>,
    /// The tenant's tags.
    pub tags: Vec<String>,
}

/// Where a call stands in its trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanContext {
    /// The id of the call's own span.
    pub span_id: u64,
    /// The id of the client's span; absent where the client sent none.
    pub parent: Option<u64>,
    /// Whether the client's tracing wants the trace recorded; absent where the client sent none.
    pub sampled: Option<bool>,
}

/// The request and the response of a call, as far as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallContent {
    /// The body of the request.
    pub request: String,
    /// The text of the response.
    pub response: String,
    /// How long both are kept.
    pub retention: Duration,
}

/// The request and the response of a call as the log tells them: texts cut, media and keys left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallExcerpt {
    /// The request: JSON with shortened texts.
    pub request: String,
    /// The beginning of the response's text.
    pub response: String,
}

/// What the response cache had for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// A response, which was given.
    Hit,
    /// Nothing.
    Miss,
    /// The cache was not asked.
    Bypass,
}

impl CacheOutcome {
    /// The outcome's name in headers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// The tenant and key that a call was authenticated as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// The key's id, which is not the key.
    pub key_id: Arc<str>,
}

/// What was requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The HTTP method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The format of the request's body; empty where no format was found out.
    pub format: &'static str,
    /// What the client put in `model`.
    pub model: Option<String>,
    /// Whether the client wants a stream.
    pub stream: bool,
}

/// The tokens that a call consumed, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// The tokens.
    pub tokens: Usage,
    /// How they are known.
    pub source: UsageSource,
}

/// How the usage of a call is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider reported the usage.
    Reported,
    /// The usage was estimated, in whole or in part: the provider did not report it to the end.
    Estimated,
}

/// How long each part of a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a place among concurrent calls.
    pub queue: Option<Duration>,
    /// From arrival until the call was authenticated and admitted.
    pub admit: Option<Duration>,
    /// From arrival to the first meaningful event of a stream, or to a whole response.
    pub first_token: Option<Duration>,
    /// From arrival to the end.
    pub total: Duration,
    /// The gateway's own part of the time to the first token: what no provider was waited for.
    pub overhead: Option<Duration>,
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallEnd {
    /// The outcome; canceled when the client left.
    pub outcome: Outcome,
    /// The HTTP status, or the one that an error within a stream stands for; absent when the client
    /// left.
    pub status: Option<u16>,
    /// What the client read of a failure.
    pub message: Option<String>,
    /// The cause of a failure, which no client reads.
    pub cause: Option<String>,
}

impl CallEnd {
    /// The end of a call that did what the client wanted.
    pub fn success() -> Self {
        Self { outcome: Outcome::Success, status: Some(200), message: None, cause: None }
    }

    /// The end of a call that failed.
    pub fn failure(error: &Error) -> Self {
        Self {
            outcome: Outcome::Failed(error.kind.code()),
            status: Some(error.status()),
            message: Some(error.to_string()),
            cause: error.cause().map(ToString::to_string),
        }
    }
}

impl CallRecord {
    /// What the client is told about how its call went. A cost that was estimated is not told.
    pub fn summary(&self) -> CallSummary {
        // A client must not take an estimate for a bill. What the cache served cost nothing, which
        // is certain.
        let is_reported = self.usage.is_some_and(|it| it.source == UsageSource::Reported);
        CallSummary {
            provider: self.provider.clone().unwrap_or_default(),
            model: self.model.clone().unwrap_or_default(),
            route: self.route.clone(),
            arrived: self.arrived,
            latency_ms: u64::try_from(self.timings.total.as_millis()).unwrap_or(u64::MAX),
            cost: self.cost.filter(|_| is_reported || self.cache == Some(CacheOutcome::Hit)),
            cache_hit: self.cache == Some(CacheOutcome::Hit),
            saved: self.saved,
            request_id: self.id.clone(),
            trace_id: self.trace_id.clone(),
            attempts: self.attempts.clone(),
        }
    }
}
