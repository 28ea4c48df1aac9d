//! Limits of requests: counted once a call is understood and authorized, and shown in headers.

use std::time::Duration;

use canonical::{Error, ErrorKind, Origin, Result};
use http::{HeaderMap, HeaderName, HeaderValue};
use tenants::{Decision, Quota, Refusal, Tenant, rate_headers};

use crate::{api::Api, front::Exchange, response};

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Where a call's tenant stands against its limits of requests.
#[derive(Debug, Default)]
pub(crate) struct LimitState {
    quotas: Vec<Quota>,
    /// Whether SDKs should try a refused call again.
    should_retry: Option<bool>,
}

impl LimitState {
    /// Adds the headers by which the clients of an API pace themselves.
    pub(crate) fn add_headers(&self, api: Api, now: u64, headers: &mut HeaderMap) {
        let mut all = rate_headers::gateway_headers(&self.quotas);
        match api {
            Api::OpenAi => all.extend(rate_headers::openai_headers(&self.quotas, now)),
            Api::Anthropic => all.extend(rate_headers::anthropic_headers(&self.quotas)),
            Api::Gemini | Api::Admin => {}
        }
        for (name, value) in all {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                headers.insert(name, value);
            }
        }
        if let Some(should_retry) = self.should_retry {
            let value = if should_retry { "true" } else { "false" };
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(value));
        }
    }
}

/// Counts a call against every limit of requests that its tenant has; without any, writes nothing.
pub(crate) async fn count_request(exchange: &mut Exchange, tenant: &Tenant) -> Result<()> {
    let clock = exchange.arrival.clock;
    let decision = exchange.app.gateway.count_request(tenant, clock).await;
    match decision {
        Decision::Admitted(admission) => {
            if let Some(cause) = admission.unreachable {
                tracing::warn!(%cause, tenant = tenant.id, "a call passed uncounted");
            }
            exchange.limits.quotas = admission.quotas;
            Ok(())
        }
        Decision::Refused { refusal, .. } => {
            let now = clock.now() / 1000;
            exchange.limits.should_retry = Some(refusal.should_retry(now));
            let error = refusal_error(&refusal, now);
            exchange.limits.quotas = vec![refusal.quota];
            Err(error)
        }
        Decision::Unavailable(unavailable) => {
            let message = "Limits cannot be checked at the moment; try again soon.";
            let mut error = Error::new(ErrorKind::Unavailable, message);
            error.retry_after = Some(Duration::from_secs(unavailable.retry_after));
            Err(error.caused_by(unavailable.cause))
        }
    }
}

fn refusal_error(refusal: &Refusal, now: u64) -> Error {
    if refusal.status() != 429 {
        return response::internal_error().caused_by("a limit of requests refused as a budget");
    }
    let error = Error::new(ErrorKind::RateLimited, refusal.message());
    let mut error = error.from_origin(Origin::Policy);
    error.retry_after = refusal.retry_after(now).map(Duration::from_secs);
    error
}
