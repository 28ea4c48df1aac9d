//! Headers that say where a call's tenant stands against its limits.

use gateway::CallLimits;
use http::{HeaderMap, HeaderName, HeaderValue};
use tenants::rate_headers;

use crate::api::Api;

const BUDGET: HeaderName = HeaderName::from_static("x-gateway-budget");

/// Adds the headers by which the clients of an API pace themselves.
pub(crate) fn add_headers(limits: &CallLimits, api: Api, now: u64, headers: &mut HeaderMap) {
    let mut all = rate_headers::gateway_headers(&limits.quotas);
    match api {
        Api::OpenAi => all.extend(rate_headers::openai_headers(&limits.quotas, now)),
        Api::Anthropic => all.extend(rate_headers::anthropic_headers(&limits.quotas)),
        Api::Gemini | Api::Admin => {}
    }
    for (name, value) in all {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    if limits.is_capped {
        headers.insert(BUDGET, HeaderValue::from_static("capped"));
    }
}
