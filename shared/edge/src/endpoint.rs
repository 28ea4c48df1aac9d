//! What an endpoint is: one value that the front, the server, the template and their tests read.
//!
//! Which endpoints there are stands in `endpoints`; how a request finds its endpoint in `router`.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use admin::{Operation, Role};
use canonical::Result;
use formats::ClientFormat;
use http::{Method, Response};

use crate::{api::Api, body::Body, front::Exchange};

/// One endpoint of the gateway.
#[derive(Debug)]
pub struct Endpoint {
    /// The Lambda function that serves the endpoint: a folder under `functions/`.
    pub function: &'static str,
    /// The method that the endpoint takes. An endpoint with `GET` takes `HEAD` too.
    pub method: Method,
    /// The paths of the endpoint. `{*id}` stands for the rest of a path, slashes included; a
    /// segment `/v1` may be left out by clients.
    pub paths: &'static [&'static str],
    /// The callers of the endpoint.
    pub access: Access,
    /// The API in whose format errors are written.
    pub errors: ErrorFormat,
    /// How large a request's body may be.
    pub body: BodyLimit,
    /// How long a call may take.
    pub timeout: TimeoutClass,
    /// The handler.
    pub(crate) handler: Handler,
}

impl Endpoint {
    /// The operation of the admin API that the endpoint serves, if it serves one.
    pub fn operation(&self) -> Option<Operation> {
        match self.handler {
            Handler::Admin(operation) => Some(operation),
            Handler::Model(_) | Handler::Function(_) => None,
        }
    }

    /// An endpoint for calls to models in one format, which may take as long as their route.
    pub(crate) const fn model(function: &'static str, format: ClientFormat) -> Self {
        Self::new(Method::POST, function, Handler::Model(format)).timeout(TimeoutClass::Route)
    }

    /// An endpoint that reads something, without a body.
    pub(crate) const fn get(function: &'static str, respond: Respond) -> Self {
        Self::new(Method::GET, function, Handler::Function(respond)).body(BodyLimit::None)
    }

    /// An endpoint that takes a body.
    pub(crate) const fn post(function: &'static str, respond: Respond) -> Self {
        Self::new(Method::POST, function, Handler::Function(respond))
    }

    /// An endpoint for clients that takes a body and asks no provider; errors as OpenAI writes
    /// them.
    pub(crate) const fn new(method: Method, function: &'static str, handler: Handler) -> Self {
        Self {
            function,
            method,
            paths: &[],
            access: Access::Client,
            errors: ErrorFormat::Of(Api::OpenAi),
            body: BodyLimit::Request,
            timeout: TimeoutClass::Short,
            handler,
        }
    }

    /// The endpoint at these paths.
    pub(crate) const fn at(mut self, paths: &'static [&'static str]) -> Self {
        self.paths = paths;
        self
    }

    /// The endpoint for these callers.
    pub(crate) const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The endpoint with errors in this format.
    pub(crate) const fn errors(mut self, errors: ErrorFormat) -> Self {
        self.errors = errors;
        self
    }

    /// The endpoint with bodies up to this limit.
    pub(crate) const fn body(mut self, body: BodyLimit) -> Self {
        self.body = body;
        self
    }

    /// The endpoint with this much time for a call.
    pub(crate) const fn timeout(mut self, timeout: TimeoutClass) -> Self {
        self.timeout = timeout;
        self
    }
}

/// The callers of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a key.
    Open,
    /// Clients with a key of the gateway.
    Client,
    /// Operators of at least this role: by HTTP Basic, a token, or a session's cookie.
    Operator(Role),
    /// Whoever has the credentials of `metrics`, and every operator.
    Metrics,
}

/// The API in whose format an endpoint's errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// The API that the path belongs to.
    Of(Api),
    /// The API whose SDK sent the request, where several APIs share the path.
    OfClient,
}

/// How large the body of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// No body is read.
    None,
    /// The limit of the process: 10 MB on a server, what an event holds in Lambda.
    Request,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutClass {
    /// As long as the configuration lets a route take; the gateway keeps the time.
    Route,
    /// Ten seconds, for what asks no provider.
    Short,
}

impl TimeoutClass {
    /// The time after which the front gives up; none where the gateway keeps the time.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::Route => None,
            Self::Short => Some(Duration::from_secs(10)),
        }
    }
}

/// A response that is still being made.
pub(crate) type HandlerFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send + 'a>>;

/// A function that serves the requests of an endpoint.
pub(crate) type Respond = for<'a> fn(&'a mut Exchange) -> HandlerFuture<'a>;

/// The handler of an endpoint. Its errors are written by the front.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// A call to a model, in one format.
    Model(ClientFormat),
    /// An operation of the admin API.
    Admin(Operation),
    /// A function of its own.
    Function(Respond),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(format) => write!(f, "Model({})", format.inbound().format().name),
            Self::Admin(operation) => write!(f, "Admin({operation:?})"),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}
