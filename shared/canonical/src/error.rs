//! Failures: one type, two questions.
//!
//! Which status does the client get? Is the next target worth an attempt? Both are decided here.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use crate::{AttemptRecord, Field};

/// What every fallible step gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as somebody acts differently on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong and would be anywhere.
    InvalidRequest,
    /// This target's API does not support a part of the request; another's may.
    Unsupported,
    /// The target refuses a part of the request, which another may take. The error's `remedy` says
    /// what the same target may accept instead.
    Rejected,
    /// The prompt is longer than the model can hold; another model may hold more.
    ContextLength,
    /// No key, or a wrong one.
    Unauthenticated,
    /// The tenant's budget does not pay for the call.
    BudgetExceeded,
    /// The key is good, but not for this.
    Forbidden,
    /// No route, model or provider has this name.
    UnknownModel,
    /// No endpoint has this path.
    UnknownPath,
    /// The endpoint has no such method.
    WrongMethod,
    /// The body is larger than the limit.
    TooLarge,
    /// Another request under the same idempotency key is still running.
    Conflict,
    /// An idempotency key was used for another request.
    KeyReused,
    /// The headers are larger than the limit.
    HeadersTooLarge,
    /// Too many requests for now.
    RateLimited,
    /// Nothing came in time.
    Timeout,
    /// The provider could not be reached, or the connection broke.
    Network,
    /// The provider failed, or returned what cannot be decoded.
    Upstream,
    /// The provider refuses our credentials, our account, or does not have the model.
    ProviderAccess,
    /// A part that the gateway needs to respond is down for now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// The HTTP status that the client gets.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::Unsupported | Self::Rejected | Self::ContextLength => 400,
            Self::Unauthenticated => 401,
            Self::BudgetExceeded => 402,
            Self::Forbidden => 403,
            Self::UnknownModel | Self::UnknownPath => 404,
            Self::WrongMethod => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::KeyReused => 422,
            // The client's own limit or a provider's: `origin` tells which.
            Self::RateLimited => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            // Also where a provider refuses its key: a 401 would send the client to look at its
            // own.
            Self::Network | Self::Upstream | Self::ProviderAccess => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// Whether the next target might do better.
    pub fn advances(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Timeout
            | Self::Network
            | Self::Upstream
            | Self::ProviderAccess
            | Self::Unsupported
            | Self::Rejected => true,
            Self::InvalidRequest
            | Self::ContextLength
            | Self::Unauthenticated
            | Self::BudgetExceeded
            | Self::Forbidden
            | Self::UnknownModel
            | Self::UnknownPath
            | Self::WrongMethod
            | Self::TooLarge
            | Self::Conflict
            | Self::KeyReused
            | Self::HeadersTooLarge
            | Self::Unavailable
            | Self::Internal => false,
        }
    }

    /// Whether the same target might do better a moment later.
    pub fn is_transient(self) -> bool {
        let is_permanent =
            // None of these goes away by itself, however long one waits.
            matches!(self, Self::ProviderAccess | Self::Unsupported | Self::Rejected);
        self.advances() && !is_permanent
    }

    /// The kind's word in `error.code`, in attempts and in logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest
            | Self::Unsupported
            | Self::Rejected
            | Self::ContextLength
            | Self::UnknownPath
            | Self::WrongMethod
            | Self::Conflict
            | Self::KeyReused
            | Self::HeadersTooLarge => "invalid_request",
            Self::Unauthenticated => "auth",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Forbidden => "forbidden",
            Self::UnknownModel => "unknown_model",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limit",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Upstream | Self::ProviderAccess | Self::Internal => "server_error",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A change to a request with which the target that rejected it may accept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Leave one field out.
    DropParam(Field),
    /// Leave out the signatures of earlier reasoning and tool calls.
    DropSignatures,
    /// Leave out beta headers and the fields that only betas have.
    DropBetas,
    /// Describe the response schema in the system prompt instead of enforcing it.
    SchemaAsText,
}

/// The limit of a tenant that refuses a call, as the client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitDetails {
    /// The word for the reason, such as `request_exceeds_budget`.
    pub reason: &'static str,
    /// The limit, named as the tenant's field, such as `budget_usd`.
    pub source: &'static str,
    /// When the limit starts anew, as an RFC 3339 time; absent where it never does.
    pub reset: Option<String>,
    /// Whether a client should try the same call again by itself.
    pub should_retry: bool,
}

/// A quota that is used up for longer than a rate limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// The quota of a day.
    Day,
    /// The credit of the account, or a quota that ends only when somebody pays.
    Credit,
}

/// The earlier gateway whose words a client reads in `type` and `code` of an error in OpenAI's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorWords {
    /// The words of leshchenko1979/ai-gateway.
    A,
    /// The words of felipepmaragno/ai-gateway.
    B,
    /// The words of DatanoiseTV/aigateway.
    C,
    /// The words of liuzl/ai.
    D,
}

/// Who reports a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The gateway itself.
    Gateway,
    /// A rule that the gateway's operator made.
    Policy,
    /// A provider, by its name in the configuration.
    Provider(String),
}

/// A failure. Its `Display` is the client's sentence; its cause is for our log and never leaves.
///
/// Boxed, because every fallible step returns one and nearly none does.
#[derive(Debug)]
pub struct Error(Box<ErrorDetails>);

/// What is known of a failure.
#[derive(Debug)]
pub struct ErrorDetails {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Who reports a failure.
    pub origin: Origin,
    /// The provider's own status, when there is one.
    pub provider_status: Option<u16>,
    /// Whether the provider says that it is overloaded, by a status of its own or by its word for it.
    pub is_overloaded: bool,
    /// Whether the request was never sent, so that its provider bills nothing.
    pub is_unsent: bool,
    /// The field of the request that is wrong.
    pub param: Option<String>,
    /// The change to the request with which the same target may accept it.
    pub remedy: Option<Remedy>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// The time that the provider names for a new try, in milliseconds since 1970.
    pub retry_at: Option<u64>,
    /// The limit of the tenant that refuses the call.
    pub limit: Option<LimitDetails>,
    /// The quota that is used up, where it is more than a rate limit.
    pub quota: Option<Quota>,
    /// The methods that the path does have.
    pub allow: Option<&'static str>,
    /// The attempts that the call made before it gave up.
    pub attempts: Vec<AttemptRecord>,
    /// Whose words the client reads. Absent: the gateway's own.
    pub words: Option<ErrorWords>,
    message: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Deref for Error {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut ErrorDetails {
        &mut self.0
    }
}

impl Error {
    /// A failure of the gateway's own, in the words that the client will read.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorDetails {
            kind,
            origin: Origin::Gateway,
            provider_status: None,
            is_overloaded: false,
            is_unsent: false,
            param: None,
            remedy: None,
            retry_after: None,
            retry_at: None,
            limit: None,
            quota: None,
            allow: None,
            attempts: vec![],
            words: None,
            message: message.into(),
            cause: None,
        }))
    }

    /// A request with a wrong field.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidRequest, message);
        error.param = Some(param.to_owned());
        error
    }

    /// A name that nothing here answers to.
    pub fn unknown_model(name: &str) -> Self {
        let mut error = Self::new(
            ErrorKind::UnknownModel,
            format!(
                "No route, model or provider/model is called `{name}`; GET /v1/models lists what your key may use."
            ),
        );
        error.param = Some("model".to_owned());
        error
    }

    /// The failure with another origin.
    #[must_use]
    pub fn from_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The failure with what caused it, for our log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The failure with another message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The client's sentence, without its origin.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The cause of the failure, for our log.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The HTTP status that the client gets: a provider's own where it speaks about the request.
    pub fn status(&self) -> u16 {
        match (self.kind, self.provider_status) {
            (
                ErrorKind::InvalidRequest | ErrorKind::Rejected | ErrorKind::ContextLength,
                // SDKs raise another exception for each of them, and all say that the request is at
                // fault.
                Some(status @ (400 | 413 | 422)),
            ) => status,
            (kind, _) => kind.status(),
        }
    }

    /// The word that the client reads in `error.code`: that of the kind, or of the provider's status.
    pub fn code(&self) -> &'static str {
        let kind = if self.status() == 413 { ErrorKind::TooLarge } else { self.kind };
        kind.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // A client must see whose limit or fault it is: the gateway's own, a rule of its
            // operator, or a provider's.
            Origin::Gateway => write!(f, "Lockgate: {}", self.message),
            Origin::Policy => write!(f, "Lockgate policy: {}", self.message),
            Origin::Provider(name) => write!(f, "Provider {name}: {}", self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|it| &**it as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_origin() {
        let error = Error::new(ErrorKind::RateLimited, "slow down");
        assert_eq!(error.to_string(), "Lockgate: slow down");
        let error = error.from_origin(Origin::Provider("groq".to_owned()));
        assert_eq!(error.to_string(), "Provider groq: slow down");
    }

    #[test]
    fn a_providers_error_about_the_request_keeps_its_status() {
        let mut error = Error::new(ErrorKind::InvalidRequest, "no such field");
        error.provider_status = Some(422);
        assert_eq!(error.status(), 422);
        error.kind = ErrorKind::ProviderAccess;
        assert_eq!(error.status(), 502);
    }

    #[test]
    fn the_code_fits_the_status_that_the_client_gets() {
        let mut error = Error::new(ErrorKind::InvalidRequest, "too much");
        assert_eq!(error.code(), "invalid_request");
        error.provider_status = Some(413);
        assert_eq!((error.status(), error.code()), (413, "request_too_large"));
    }

    #[test]
    fn a_refusal_is_not_worth_repeating_but_worth_passing_over() {
        assert!(ErrorKind::ProviderAccess.advances());
        assert!(!ErrorKind::ProviderAccess.is_transient());
        assert!(ErrorKind::Unsupported.advances() && !ErrorKind::Unsupported.is_transient());
    }
}
