//! Problems: what an operator is told when something cannot be done, as RFC 9457 shapes it.

use std::{error::Error, fmt};

use serde::Serialize;
use serde_json::{Value, json};
use storage::StoreError;
use tenants::{FieldError, RepositoryError};

/// What every operation gives.
pub type AdminResult<T> = Result<T, Problem>;

/// What is wrong, as far as a client acts differently on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request is malformed, or a field of it is wrong.
    Invalid,
    /// No operator signed in, or the credentials are wrong.
    Unauthenticated,
    /// The operator's role does not allow this, or a page of another origin asked for it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Something stands in the way, such as another tenant of the same name.
    Conflict,
    /// What is to be changed was changed since it was read.
    PreconditionFailed,
    /// The body is in no format that the operation takes.
    UnsupportedMediaType,
    /// The request cannot be done as it stands: another request had the same idempotency key.
    Unprocessable,
    /// The request has to say which version it changes.
    PreconditionRequired,
    /// Too many attempts to sign in.
    TooManyRequests,
    /// A fault of the gateway's own.
    Internal,
    /// The store cannot be reached.
    Unavailable,
}

impl ProblemKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable => 422,
            Self::PreconditionRequired => 428,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The problem in a few words, the same for every problem of the kind.
    fn title(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid request",
            Self::Unauthenticated => "Not signed in",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::Conflict => "Conflict",
            Self::PreconditionFailed => "Changed meanwhile",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Unprocessable => "Cannot be done",
            Self::PreconditionRequired => "Version required",
            Self::TooManyRequests => "Too many attempts",
            Self::Internal => "Internal error",
            Self::Unavailable => "Store unavailable",
        }
    }
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemField {
    /// The field, or the path of a value in a configuration. Empty: the whole.
    pub field: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// The line of a configuration, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The character within the line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl ProblemField {
    /// A field and what is wrong with it.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), line: None, column: None }
    }
}

impl From<FieldError> for ProblemField {
    fn from(error: FieldError) -> Self {
        Self::new(&error.field, error.message)
    }
}

impl From<&config::ConfigError> for ProblemField {
    fn from(error: &config::ConfigError) -> Self {
        let (line, column) = (error.position.map(|at| at.line), error.position.map(|at| at.column));
        Self { line, column, ..Self::new(&error.path, error.message.as_str()) }
    }
}

impl fmt::Display for ProblemField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if self.field.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "`{}`: {}", self.field, self.message)
    }
}

/// Why an operation was not done. `Display` is the operator's sentence; the cause is for the log.
#[derive(Debug)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// What is wrong, as a sentence.
    pub detail: String,
    /// Fields of the request that are wrong.
    pub fields: Vec<ProblemField>,
    /// After how many seconds another attempt makes sense.
    pub retry_after: Option<u64>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), fields: vec![], retry_after: None, cause: None }
    }

    /// A field of the request is wrong.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![ProblemField::new(field, message)])
    }

    /// Fields of the request are wrong; at least one.
    pub fn fields(fields: Vec<ProblemField>) -> Self {
        let sentences: Vec<String> = fields.iter().map(ToString::to_string).collect();
        Self { fields, ..Self::new(ProblemKind::Invalid, sentences.join(" ")) }
    }

    /// The problem with fields that show where it lies.
    #[must_use]
    pub fn with_fields(self, fields: Vec<ProblemField>) -> Self {
        Self { fields, ..self }
    }

    /// A line of the configuration, counted from 1, that stands in the way of an operation.
    pub(crate) fn on_line(field: &str, line: usize, detail: String) -> Self {
        let place = ProblemField { line: Some(line), ..ProblemField::new(field, detail.as_str()) };
        Self::new(ProblemKind::Conflict, detail).with_fields(vec![place])
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no such {what}."))
    }

    /// The problem with a time after which to try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The problem with a cause for the log.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// The cause, which no client sees.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The problem as `application/problem+json` has it. `error` repeats the sentence under the
    /// name that clients of the second seed read.
    pub fn to_json(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": "about:blank",
            "title": self.kind.title(),
            "status": self.kind.status(),
            "detail": self.detail,
            "error": self.detail,
            "request_id": request_id,
        });
        if let Some(first) = self.fields.first() {
            body["field"] = json!(first.field);
            body["errors"] = json!(self.fields);
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {}

impl From<StoreError> for Problem {
    fn from(cause: StoreError) -> Self {
        let detail = "The store cannot be reached; try again soon.";
        Self::new(ProblemKind::Unavailable, detail).retry_after(5).caused_by(cause)
    }
}

impl From<RepositoryError> for Problem {
    fn from(error: RepositoryError) -> Self {
        let kind = match error {
            RepositoryError::Store(cause) => return cause.into(),
            RepositoryError::Invalid(fields) => {
                return Self::fields(fields.into_iter().map(Into::into).collect());
            }
            RepositoryError::NameTaken => {
                let field = ProblemField::new("name", error.to_string());
                let taken = Self::new(ProblemKind::Conflict, error.to_string());
                return Self { fields: vec![field], ..taken };
            }
            RepositoryError::NotFound => ProblemKind::NotFound,
            RepositoryError::VersionConflict => ProblemKind::PreconditionFailed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<canonical::Error> for Problem {
    fn from(error: canonical::Error) -> Self {
        let kind = match error.status() {
            404 => ProblemKind::NotFound,
            400..500 => ProblemKind::Invalid,
            503 => ProblemKind::Unavailable,
            _ => ProblemKind::Internal,
        };
        let problem = Self::new(kind, error.message());
        match error.retry_after {
            Some(wait) => problem.retry_after(wait.as_secs().max(1)),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_is_named() {
        let problem = Problem::field("name", "A tenant needs a name.");
        let body = problem.to_json("req_1");
        assert_eq!((&body["status"], &body["field"]), (&json!(400), &json!("name")));
        assert_eq!(body["errors"][0]["message"], "A tenant needs a name.");
        assert_eq!(body["error"], body["detail"]);
    }

    #[test]
    fn a_cause_stays_with_us() {
        let problem = Problem::from(StoreError::new("reading", "secret host"));
        assert!(!problem.to_json("r").to_string().contains("secret host"));
        assert_eq!(problem.kind.status(), 503);
        assert!(problem.cause().is_some());
    }
}
