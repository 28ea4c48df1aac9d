//! The front: what happens to every request before and after its handler.
//!
//! The front finds the endpoint, authenticates the caller, keeps the time, records the call and
//! writes errors. Handlers only make responses.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use admin::{Admin, Operator};
use canonical::{Error, ErrorKind, ErrorWords, Result};
use futures_util::FutureExt;
use gateway::{Admitted, AttemptWatch, CallLimits, Clock, Gateway, MemoryBudget, Snapshot};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use storage::Secret;
use subtle::ConstantTimeEq;
use telemetry::{CallRecord, CallRecorder, RequestFacts};
use tenants::Tenant;

use crate::{
    admin as administration,
    api::Api,
    body::{Body, empty},
    client_access, cors,
    endpoint::{Access, Endpoint, Handler, HandlerFuture},
    log_limiter::LogLimiter,
    metrics, model_call, pages, rate_limit_headers,
    record_sinks::Records,
    request::{self, Arrival, Origin},
    request_body::{BodyLimits, has_unread_body},
    response,
    router::{Found, Router, path_below},
    settings::KeepAliveSettings,
    shutdown::{Phase, Stopping, stopping_error},
    text::shorten,
    wrong_keys::WrongKeys,
};

/// The header by which the front door proves itself.
pub(crate) const ORIGIN_SECRET: HeaderName = HeaderName::from_static("x-origin-secret");
/// The header that carries the name of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header in which Anthropic's SDKs look for the name of a request.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// How long the rest of a refused body is read, of a client with a key and of a stranger.
const LINGER_TIMES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2));

/// The parts that all requests of a process share.
#[derive(Debug)]
pub(crate) struct App {
    /// The gateway itself.
    pub(crate) gateway: Arc<Gateway>,
    /// The administration of the gateway, in processes that serve it.
    pub(crate) admin: Option<Admin>,
    /// The origins under which browsers reach the gateway, where its host does not say.
    pub(crate) public_origins: Vec<String>,
    /// What is kept of calls.
    pub(crate) records: Records,
    /// Calls that have not ended.
    pub(crate) in_flight: gateway::InFlight,
    /// How large a request's body may be, and how long it may be silent.
    pub(crate) body_limits: BodyLimits,
    /// The memory for bodies and buffers in flight.
    pub(crate) memory: MemoryBudget,
    /// The secrets that the front door may send; without any, requests come from anywhere.
    pub(crate) origin_secrets: Vec<Secret>,
    /// When silence is filled.
    pub(crate) keep_alive: KeepAliveSettings,
    /// Wrong keys, by address.
    pub(crate) wrong_keys: Mutex<WrongKeys>,
    /// The limiter of the log of wrong keys.
    pub(crate) wrong_key_log: LogLimiter,
    /// How far the process is on its way to its end.
    pub(crate) stopping: Stopping,
}

/// One request on its way through the front, as its handler sees it.
pub(crate) struct Exchange {
    /// The parts that all requests share.
    pub(crate) app: Arc<App>,
    /// The request.
    pub(crate) request: Request<Body>,
    /// The request before its body is read.
    pub(crate) arrival: Arrival,
    /// The API in whose format errors are written.
    pub(crate) api: Api,
    /// The part of the path in place of `{*id}`.
    pub(crate) id: Option<String>,
    /// The part of the path in place of each parameter, in order.
    pub(crate) parameters: Vec<String>,
    /// The record of the request. A handler that hands a call on takes the record along.
    pub(crate) record: Option<CallRecorder>,
    /// Where the tenant stands against its limits.
    pub(crate) limits: CallLimits,
    /// Who is notified of each attempt of the call.
    pub(crate) watch: Option<AttemptWatch>,
    snapshot: Option<Arc<Snapshot>>,
    tenant: Option<Arc<Tenant>>,
    operator: Option<Operator>,
}

impl Exchange {
    /// A request that nothing is known of yet but its endpoint.
    fn new(app: Arc<App>, request: Request<Body>, arrival: Arrival, found: &Found) -> Self {
        Self {
            app,
            request,
            arrival,
            api: found.api,
            id: found.id.clone(),
            parameters: found.parameters.clone(),
            record: None,
            limits: CallLimits::default(),
            watch: None,
            snapshot: None,
            tenant: None,
            operator: None,
        }
    }

    /// Makes a call for a tenant whose key was not asked for, because an operator makes it, and
    /// shows its attempts to `watch`.
    pub(crate) async fn call_for(
        app: Arc<App>,
        request: Request<Body>,
        (arrival, found): (Arrival, Found),
        admitted: Admitted,
        watch: AttemptWatch,
    ) -> Response<Body> {
        let mut exchange = Self::new(app, request, arrival, &found);
        exchange.watch = Some(watch);
        exchange.snapshot = Some(admitted.snapshot);
        exchange.tenant = Some(admitted.tenant);
        // A call of the playground is charged and kept like any other; only the key is not checked.
        exchange.begin_record();
        if let Some(record) = &mut exchange.record {
            record.principal = Some(admitted.principal);
            record.timings.admit = Some(record.elapsed());
        }
        let outcome = match found.endpoint {
            Ok(endpoint) => exchange.handle(endpoint.handler).await,
            Err(error) => Err(error),
        };
        exchange.end_record(&outcome);
        let mut response = outcome.unwrap_or_else(|error| {
            response::error(found.api, &error, &[], &exchange.arrival.request_id)
        });
        add_headers(&mut response, found.api, &exchange.arrival.request_id);
        response
    }

    /// The operator who signed in.
    pub(crate) fn operator(&self) -> Result<&Operator> {
        self.operator.as_ref().ok_or_else(|| {
            response::internal_error().caused_by("the endpoint takes requests without an operator")
        })
    }

    /// The configuration under which an authenticated client's request is served.
    pub(crate) fn snapshot(&self) -> Result<&Arc<Snapshot>> {
        self.snapshot.as_ref().ok_or_else(|| {
            response::internal_error().caused_by("the endpoint takes requests without a key")
        })
    }

    /// Whose words the client reads in errors.
    pub(crate) fn error_words(&self) -> Option<ErrorWords> {
        let known = || self.app.gateway.known_snapshot();
        let snapshot = self.snapshot.clone().or_else(known)?;
        response::error_words(&snapshot.config)
    }

    /// The tenant that an authenticated client's request is served for.
    pub(crate) fn tenant(&self) -> Result<&Arc<Tenant>> {
        self.tenant.as_ref().ok_or_else(|| {
            response::internal_error().caused_by("the endpoint takes requests without a key")
        })
    }
}

/// The endpoints of a process, and what they share.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) app: Arc<App>,
    router: Arc<Router>,
}

impl Front {
    /// A front before some endpoints of the table.
    pub(crate) fn new(
        app: Arc<App>,
        endpoints: impl IntoIterator<Item = &'static Endpoint>,
    ) -> Self {
        Self { app, router: Arc::new(Router::new(endpoints)) }
    }

    /// Responds to a request, with an error where handling it fails or panics.
    pub(crate) async fn respond(&self, request: Request<Body>, origin: Origin) -> Response<Body> {
        // The clock is read here alone, so that every part of the call agrees on the time.
        let mut arrival = Arrival::new(request.headers(), origin);
        self.app.records.sample(&arrival.trace_id, &mut arrival.span);
        // Pages first: they share paths with the JSON API, and only a browser asks for HTML.
        let found = match pages::find(&self.app, &request) {
            Some(page) => page,
            None => {
                let (method, path) = (request.method(), request.uri().path());
                self.find(method, path, request.headers(), arrival.clock).await
            }
        };
        let is_head = request.method() == Method::HEAD;

        let mut exchange = Exchange::new(self.app.clone(), request, arrival, &found);
        let Found { endpoint, api, allowed, .. } = found;

        // A path that no endpoint has is nobody's to call, and operators' paths are no other
        // page's.
        let origin = if allowed.is_empty() || api == Api::Admin {
            None
        } else {
            let headers = exchange.request.headers();
            allowed_origin(&self.app, exchange.arrival.clock, headers).await
        };
        let outcome = exchange.run(endpoint, &allowed, origin.as_ref()).await;
        let mut response = match outcome {
            Ok(response) => response,
            Err(mut error) => {
                error.words = exchange.error_words();
                let request_id = &exchange.arrival.request_id;
                let page = pages::error(&exchange, &error);
                let mut response =
                    page.unwrap_or_else(|| response::error(api, &error, &allowed, request_id));
                exchange.end_refused_body(&mut response);
                response
            }
        };

        add_headers(&mut response, api, &exchange.arrival.request_id);

        let now = exchange.arrival.clock.now() / 1000;
        // Also on errors: a client that was limited needs the figures most.
        rate_limit_headers::add_headers(&exchange.limits, api, now, response.headers_mut());
        if let Some(origin) = origin {
            cors::add_headers(response.headers_mut(), origin);
        }
        // Last, so that the headers are those of GET (RFC 9110, section 9.3.2).
        if is_head {
            *response.body_mut() = empty();
        }
        response
    }

    /// Finds the endpoint of a request, under the base paths of the configuration too. What the table
    /// has itself means the same whatever the base paths are.
    async fn find(&self, method: &Method, path: &str, headers: &HeaderMap, clock: Clock) -> Found {
        let found = self.router.find(method, path, headers);
        if found.is_known_path() {
            return found;
        }
        let Ok(snapshot) = self.app.gateway.snapshot(clock).await else { return found };
        let below = path_below(path, &snapshot.config.compatibility.base_paths);
        below.map_or(found, |path| self.router.find(method, &path, headers))
    }
}

impl Exchange {
    /// Takes a request through its steps, and records how that went.
    async fn run(
        &mut self,
        endpoint: Result<&'static Endpoint>,
        allowed: &[Method],
        origin: Option<&HeaderValue>,
    ) -> Result<Response<Body>> {
        // First of all: what came around the front door learns nothing of paths and keys.
        self.check_head()?;
        // Browsers send preflights without a key, so they are decided before authentication.
        if cors::is_preflight(self.request.method(), self.request.headers()) && !allowed.is_empty()
        {
            return cors::preflight(origin, allowed, self.request.headers());
        }

        // Probes of `/health` come every second and are nobody's call; what operators change is in
        // the audit.
        let is_recorded = match &endpoint {
            Ok(endpoint) => endpoint.access == Access::Client,
            Err(_) => self.api != Api::Admin,
        };
        if is_recorded {
            self.begin_record();
        }
        let outcome = self.dispatch(endpoint).await;
        self.end_record(&outcome);
        outcome
    }

    fn begin_record(&mut self) {
        let Arrival { request_id, trace_id, span, clock, .. } = &self.arrival;
        let request = RequestFacts {
            method: self.request.method().to_string(),
            // A path is the client's text, and stands in a row of the store and in the log.
            path: shorten(self.request.uri().path()).into_owned(),
            ..RequestFacts::default()
        };
        let record = CallRecord {
            id: request_id.clone(),
            trace_id: trace_id.clone(),
            span: *span,
            client: request::client_facts(self.request.headers()),
            request,
            ..CallRecord::default()
        };
        self.record = Some(self.app.gateway.begin_record(record, *clock));
    }

    fn end_record(&mut self, outcome: &Result<Response<Body>>) {
        match (&mut self.record, outcome) {
            // A record that went on with its call is finished there; this one made no call.
            (Some(record), Ok(_)) => record.succeeded(),
            (Some(record), Err(error)) => record.failed(error),
            (None, _) => {}
        }
    }

    /// Refuses a head that no client of the gateway sends.
    fn check_head(&self) -> Result<()> {
        self.check_origin()?;
        // In Lambda the platform has checked the host, and shows the function's own.
        if self.arrival.connection.is_some() {
            request::check_host(&self.request)?;
        }
        request::check_headers(self.request.headers())
    }

    async fn dispatch(&mut self, endpoint: Result<&'static Endpoint>) -> Result<Response<Body>> {
        let endpoint = endpoint?;

        self.authenticate(endpoint.access).await?;
        // Operators and metrics read the log, and expect the call that they have just seen end.
        if matches!(endpoint.access, Access::Operator(_) | Access::Metrics) {
            self.app.gateway.records_written().await;
        }

        let stopped = self.app.stopping.clone().reached(Phase::Ending);
        // On the heap from here on: a stranger's request takes as little memory as can be.
        let answered = AssertUnwindSafe(self.handle(endpoint.handler)).catch_unwind();
        // No timer is set where the gateway keeps the time: each costs two locks.
        let in_time = async {
            match endpoint.timeout.limit() {
                Some(limit) => tokio::time::timeout(limit, answered).await.map_err(too_late),
                None => Ok(answered.await),
            }
        };
        let answered = tokio::select! {
            // A response that is ready counts even if the server ends in the same moment.
            biased;
            answered = in_time => answered?,
            () = stopped => return Err(stopping_error()),
        };
        // A panic ends this request alone; its connection and all others go on.
        answered.unwrap_or_else(|_| {
            tracing::error!(request_id = self.arrival.request_id, "an endpoint panicked");
            Err(response::internal_error())
        })
    }

    fn handle(&mut self, handler: Handler) -> HandlerFuture<'_> {
        match handler {
            Handler::Model(format) => Box::pin(model_call::respond(self, format.into())),
            Handler::Admin(operation) => administration::respond(self, operation),
            Handler::Function(respond) => respond(self),
        }
    }

    /// Lets a client that is still sending a refused body come to read why.
    fn end_refused_body(&self, response: &mut Response<Body>) {
        let Some(connection) = &self.arrival.connection else { return };
        // HTTP/2 can reset one stream; in HTTP/1 a close with bytes unread becomes a reset that
        // takes the response with it.
        if self.request.version() < Version::HTTP_2 && has_unread_body(&self.request) {
            // A client with a key may be sending ten megabytes; a stranger shall not hold a
            // connection for long.
            let (known, stranger) = LINGER_TIMES;
            connection.linger(if self.snapshot.is_some() { known } else { stranger });
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
    }

    /// Refuses what came around the front door.
    fn check_origin(&self) -> Result<()> {
        let secrets = &self.app.origin_secrets;
        if secrets.is_empty() {
            return Ok(());
        }
        let sent = self.request.headers().get(&ORIGIN_SECRET);
        let sent = sent.map_or(&b""[..], HeaderValue::as_bytes);
        // In constant time: the secret is all that keeps strangers from the function's address.
        let is_sent = |secret: &&Secret| bool::from(secret.expose().as_bytes().ct_eq(sent));
        // Every secret is compared, so that the place of the right one does not show.
        if secrets.iter().filter(is_sent).count() == 0 {
            return Err(response::not_from_the_front_door());
        }
        Ok(())
    }

    /// Finds out who calls, from the headers alone: a stranger's body is never read.
    async fn authenticate(&mut self, access: Access) -> Result<()> {
        match access {
            Access::Open => {}
            Access::Operator(role) => {
                self.operator = Some(administration::sign_in(self, role).await?);
            }
            Access::Metrics => metrics::authorize(self).await?,
            Access::Client => {
                // Google's clients may send the key as `?key=`; elsewhere a key in a URL would end
                // up in logs of proxies.
                let in_query = (self.api == Api::Gemini)
                    .then(|| request::query_value(self.request.uri(), "key"))
                    .flatten();
                let mut keys = request::keys(self.request.headers());
                keys.extend(in_query.as_deref());

                let headers = self.request.headers();
                let admitted =
                    client_access::admit(&self.app, &self.arrival, headers, &keys).await?;
                let tags = &admitted.tenant.settings.tags;
                let tags = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
                // Here, because a configuration may have come into force since the request before.
                self.app.records.configure(&admitted.snapshot.config);
                self.snapshot = Some(admitted.snapshot);
                self.tenant = Some(admitted.tenant);
                if let Some(record) = &mut self.record {
                    record.principal = Some(admitted.principal);
                    record.client.tags = tags;
                    record.timings.admit = Some(record.elapsed());
                }
            }
        }
        Ok(())
    }
}

fn too_late(elapsed: tokio::time::error::Elapsed) -> Error {
    Error::new(ErrorKind::Timeout, "The gateway took too long.").caused_by(elapsed)
}

/// The origin whose page may read the response; none without a page, or for another one.
async fn allowed_origin(app: &App, clock: Clock, headers: &HeaderMap) -> Option<HeaderValue> {
    // Programs send no `Origin`, so that the common call takes no look at the configuration here.
    if !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let snapshot = app.gateway.snapshot(clock).await.ok()?;
    cors::allowed_origin(&snapshot.config.cors, headers)
}

/// Adds what every response carries.
fn add_headers(response: &mut Response<Body>, api: Api, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        if api == Api::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    // Responses belong to one key; `no-transform` keeps proxies from compressing streams, which
    // would hold them back.
    let private = HeaderValue::from_static("private, no-store, no-transform");
    // Assets have set a value of their own, under which they are kept for good.
    headers.entry(header::CACHE_CONTROL).or_insert(private);
    response::add_security_headers(headers);
}
