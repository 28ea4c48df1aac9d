//! What a request brings besides its body: its name, its trace, its keys, its wishes.

use std::borrow::Cow;

use canonical::{Error, Result};
use gateway::Clock;
use http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;

/// The longest name that a client may give its request.
const LONGEST_ID: usize = 128;

/// What is known of a request before anybody reads it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    pub(crate) clock: Clock,
    /// When the platform ends the call, in milliseconds since 1970.
    pub(crate) platform_deadline: Option<u64>,
}

/// The client's own name for its request if it can be printed, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|it| it.to_str().ok());
    let printable = |it: &&str| {
        !it.is_empty()
            && it.len() <= LONGEST_ID
            && it.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    given
        .filter(printable)
        .map_or_else(|| format!("req_{:032x}", fastrand::u128(..)), str::to_owned)
}

/// The trace of a `traceparent` header (W3C Trace Context), else a new one.
pub(crate) fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get("traceparent").and_then(|it| it.to_str().ok());
    let trace = given.and_then(|it| it.split('-').nth(1)).filter(|it| {
        it.len() == 32
            && it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && it.bytes().any(|byte| byte != b'0')
    });
    trace.map_or_else(|| format!("{:032x}", fastrand::u128(1..)), str::to_owned)
}

/// Every key that a request shows, wherever SDKs put theirs.
pub(crate) fn keys(headers: &HeaderMap) -> Vec<&str> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|it| {
        let (scheme, key) = it.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    [bearer, text("x-api-key"), text("x-goog-api-key")].into_iter().flatten().collect()
}

/// What a query gives to a name, the last word counting.
pub(crate) fn queried(uri: &Uri, name: &str) -> Option<String> {
    let decoded = |text: &str| {
        let spaced: Cow<'_, str> =
            if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = uri.query()?.split('&').map(|it| it.split_once('=').unwrap_or((it, "")));
    let last = pairs.rev().find(|(key, _)| decoded(key) == name);
    last.map(|(_, value)| decoded(value))
}

/// A header that means yes or no.
pub(crate) fn flag(headers: &HeaderMap, name: &'static str) -> Result<bool> {
    let Some(value) = headers.get(name) else {
        return Ok(false);
    };
    match value.as_bytes().trim_ascii() {
        it if it.eq_ignore_ascii_case(b"true") || it == b"1" => Ok(true),
        it if it.eq_ignore_ascii_case(b"false") || it == b"0" => Ok(false),
        _ => Err(Error::invalid(name, format!("The header `{name}` must be true or false."))),
    }
}

/// The provider that the client insists on.
pub(crate) fn only_provider(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("x-provider") else {
        return Ok(None);
    };
    let name = value.to_str().map_err(|error| {
        Error::invalid("X-Provider", "The header `X-Provider` must be plain text.").caused_by(error)
    })?;
    Ok(Some(name.trim().to_owned()).filter(|it| !it.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn a_printable_name_is_kept() {
        assert_eq!(request_id(&headers(&[("x-request-id", "job 7/a")])), "job 7/a");
        for odd in ["\u{7f}", "", &"x".repeat(129)] {
            if let Ok(value) = http::HeaderValue::from_str(odd) {
                let odd = HeaderMap::from_iter([("x-request-id".parse().unwrap(), value)]);
                assert!(request_id(&odd).starts_with("req_"));
            }
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn a_trace_goes_on() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(trace_id(&headers(&[("traceparent", &parent)])), trace);
        for wrong in ["00-0-1-01", "nonsense", &format!("00-{}-1-01", "0".repeat(32))] {
            assert_eq!(trace_id(&headers(&[("traceparent", wrong)])).len(), 32);
            assert!(!wrong.contains(&trace_id(&headers(&[("traceparent", wrong)]))));
        }
    }

    #[test]
    fn a_key_is_found_wherever_sdks_put_it() {
        assert_eq!(keys(&headers(&[("authorization", "bearer  k")])), ["k"]);
        assert_eq!(keys(&headers(&[("x-api-key", "k")])), ["k"]);
        assert_eq!(keys(&headers(&[("x-goog-api-key", "k")])), ["k"]);
        assert!(keys(&headers(&[("authorization", "Basic k")])).is_empty());
    }

    #[test]
    fn a_query_is_decoded() {
        let uri = Uri::from_static("/x?key=a%2Fb+c&empty&k%65y2=%E2%82%AC&key2=%FF");
        assert_eq!(queried(&uri, "key").as_deref(), Some("a/b c"));
        assert_eq!(queried(&uri, "empty").as_deref(), Some(""));
        assert_eq!(queried(&uri, "key2").as_deref(), Some("\u{fffd}"));
        assert_eq!(queried(&uri, "other"), None);
        assert_eq!(queried(&Uri::from_static("/x"), "key"), None);
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let strict =
            |it: &'static str| flag(&headers(&[("x-gateway-strict", it)]), "x-gateway-strict");
        assert!(strict("True").unwrap());
        assert!(!strict("0").unwrap());
        assert!(strict("perhaps").is_err());
    }
}
