//! What a request brings besides its body: its id, its trace, its keys, its options.

use std::{borrow::Cow, sync::Arc};

use canonical::{Error, ErrorKind, Result};
use config::Rescue;
use gateway::{CallHints, Clock};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header};
use percent_encoding::percent_decode_str;
use telemetry::{ClientFacts, SpanContext};

use crate::{
    front::REQUEST_ID,
    server::Connection,
    settings::now_ms,
    text::{MAX_NAME_CHARS, shorten},
};

/// How long the id may be that a client gives its request, in bytes.
const MAX_ID_BYTES: usize = 128;
/// How many headers a request may have.
pub(crate) const MAX_HEADERS: usize = 100;
/// How large the headers of a request may be together, names included, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

// Names are parsed once: a lookup by text parses its name each time.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GATEWAY_LOG: HeaderName = HeaderName::from_static("x-gateway-log");
const GATEWAY_RESCUE: HeaderName = HeaderName::from_static("x-gateway-rescue");
const GOOGLE_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const PROVIDER: HeaderName = HeaderName::from_static("x-provider");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request comes from: a connection, or an invocation in Lambda.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// When the platform ends the call, in milliseconds since 1970.
    pub(crate) platform_deadline: Option<u64>,
    /// The client's connection; none in Lambda.
    pub(crate) connection: Option<Arc<Connection>>,
}

/// A request before its body is read.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The client's connection; none in Lambda.
    pub(crate) connection: Option<Arc<Connection>>,
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    /// Where the request stands in its trace.
    pub(crate) span: SpanContext,
    pub(crate) clock: Clock,
    /// When the platform ends the call, in milliseconds since 1970.
    pub(crate) platform_deadline: Option<u64>,
}

impl Arrival {
    /// A request that arrives now.
    pub(crate) fn new(headers: &HeaderMap, origin: Origin) -> Self {
        let clock = Clock::starting(now_ms());
        let (trace_id, span) = trace(headers);
        Self {
            request_id: request_id(headers, clock.arrived),
            trace_id,
            span,
            clock,
            platform_deadline: origin.platform_deadline,
            connection: origin.connection,
        }
    }
}

/// Refuses a request that names no host or two (RFC 9112, section 3.2).
pub(crate) fn check_host<B>(request: &Request<B>) -> Result<()> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    // Two hosts are how requests are smuggled past a proxy that reads the other one.
    let is_named = hosts == 1
        || hosts == 0
            // HTTP/2 has the host in `:authority`, and HTTP/1.0 knew none.
            && (request.uri().authority().is_some() || request.version() < Version::HTTP_11);
    if !is_named {
        let message = "A request must have one `Host` header.";
        return Err(Error::invalid("Host", message));
    }
    Ok(())
}

/// Refuses headers that are too many or too large.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<()> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if MAX_HEADERS < headers.len() || MAX_HEADER_BYTES < size {
        let message = format!(
            "The headers are too large: at most {MAX_HEADERS} headers and {} KiB together.",
            MAX_HEADER_BYTES / 1024
        );
        return Err(Error::new(ErrorKind::HeadersTooLarge, message));
    }
    Ok(())
}

/// What the headers say about how a call is routed and logged; `named` are those that conditions ask for.
pub(crate) fn hints(headers: &HeaderMap, named: &[String]) -> Result<CallHints> {
    let rescue = match text(headers.get(GATEWAY_RESCUE)) {
        None | Some("") => None,
        Some("continue") => Some(Rescue::Continue),
        Some("off") => Some(Rescue::Off),
        Some(_) => {
            let message = "The header `X-Gateway-Rescue` must be `continue` or `off`.";
            return Err(Error::invalid("X-Gateway-Rescue", message));
        }
    };
    let is_private = match text(headers.get(GATEWAY_LOG)) {
        None | Some("" | "on") => false,
        Some("off") => true,
        Some(_) => {
            let message = "The header `X-Gateway-Log` must be `on` or `off`.";
            return Err(Error::invalid("X-Gateway-Log", message));
        }
    };
    // Only headers that a condition names are kept: every other one may hold a secret.
    let named = named.iter().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.clone(), value.to_owned()))
    });
    let session = headers.get(SESSION_ID).and_then(|it| it.to_str().ok()).map(str::to_owned);
    Ok(CallHints { rescue, session, headers: named.collect(), is_private })
}

/// The text of a header without spaces around it; none for one that is absent or no text.
fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok().map(str::trim)
}

/// The client's own id of its request if it is printable ASCII, else a new one.
fn request_id(headers: &HeaderMap, arrived: u64) -> String {
    let given = headers.get(REQUEST_ID).and_then(|it| it.to_str().ok());
    let printable = |it: &&str| {
        !it.is_empty()
            && it.len() <= MAX_ID_BYTES
            && it.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    given
        .filter(printable)
        .map_or_else(|| telemetry::call_id(arrived, fastrand::u128(..)), str::to_owned)
}

/// The trace of a `traceparent` header (W3C Trace Context) and the place of the call in it, else a
/// new trace.
fn trace(headers: &HeaderMap) -> (String, SpanContext) {
    // A span's id of zero is invalid (W3C Trace Context, section 3.2.2.4).
    let span = SpanContext { span_id: fastrand::u64(1..), ..SpanContext::default() };
    let given = headers.get(TRACEPARENT).and_then(|it| it.to_str().ok());
    match given.and_then(parse_traceparent) {
        Some((trace, parent, sampled)) => {
            (trace, SpanContext { parent: Some(parent), sampled: Some(sampled), ..span })
        }
        None => (format!("{:032x}", fastrand::u128(1..)), span),
    }
}

/// The trace, the parent's span and the sampled flag of a `traceparent` header.
fn parse_traceparent(text: &str) -> Option<(String, u64, bool)> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);

    let is_hex = |it: &str, digits: usize| {
        it.len() == digits && it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_well_formed =
        is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    // Versions to come may add fields at the end; only `ff` is forbidden.
    if !is_well_formed || version == "ff" || trace.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let parent = u64::from_str_radix(parent, 16).ok().filter(|it| *it != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace.to_owned(), parent, flags & 1 == 1))
}

/// What a client says of itself in its headers.
pub(crate) fn client_facts(headers: &HeaderMap) -> ClientFacts {
    let short = |name: HeaderName| {
        let value = text(headers.get(name)).filter(|it| !it.is_empty());
        value.map(|it| shorten(it).into_owned())
    };
    ClientFacts { user_agent: short(header::USER_AGENT), session: short(SESSION_ID), tags: vec![] }
}

/// Every key that a request carries, in any of the headers that SDKs use.
pub(crate) fn keys(headers: &HeaderMap) -> Vec<&str> {
    let bearer = text(headers.get(header::AUTHORIZATION)).and_then(|it| {
        let (scheme, key) = it.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    // All of them are tried: SDKs differ in the header that they use, and some send two.
    let others = [API_KEY, GOOGLE_API_KEY].map(|name| text(headers.get(name)));
    [bearer].into_iter().chain(others).flatten().collect()
}

/// The value of a query parameter; of several, the last.
pub(crate) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let decoded = |text: &str| {
        let spaced: Cow<'_, str> =
            if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = uri.query()?.split('&').map(|it| it.split_once('=').unwrap_or((it, "")));
    let last = pairs.rev().find(|(key, _)| decoded(key) == name);
    last.map(|(_, value)| decoded(value))
}

/// A header that is true or false.
pub(crate) fn flag(headers: &HeaderMap, name: &HeaderName) -> Result<bool> {
    let Some(value) = headers.get(name) else {
        return Ok(false);
    };
    match value.as_bytes().trim_ascii() {
        it if it.eq_ignore_ascii_case(b"true") || it == b"1" => Ok(true),
        it if it.eq_ignore_ascii_case(b"false") || it == b"0" => Ok(false),
        _ => {
            let message = format!("The header `{name}` must be true or false.");
            Err(Error::invalid(name.as_str(), message))
        }
    }
}

/// The only provider that the client accepts.
pub(crate) fn only_provider(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(PROVIDER) else {
        return Ok(None);
    };
    let name = value.to_str().map_err(|error| {
        Error::invalid("X-Provider", "The header `X-Provider` must be plain text.").caused_by(error)
    })?;
    let name = name.trim();
    if MAX_NAME_CHARS < name.len() {
        let message = format!("The header `X-Provider` must have at most {MAX_NAME_CHARS} bytes.");
        return Err(Error::invalid("X-Provider", message));
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
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
    fn a_printable_id_is_kept() {
        assert_eq!(request_id(&headers(&[("x-request-id", "job 7/a")]), 0), "job 7/a");
        for odd in ["\u{7f}", "", &"x".repeat(129)] {
            if let Ok(value) = http::HeaderValue::from_str(odd) {
                let odd = HeaderMap::from_iter([("x-request-id".parse().unwrap(), value)]);
                assert!(request_id(&odd, 0).starts_with("req_"));
            }
        }
        assert_ne!(request_id(&HeaderMap::new(), 0), request_id(&HeaderMap::new(), 0));
    }

    #[test]
    fn a_trace_goes_on() {
        let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace_id}-00f067aa0ba902b7-01");
        let (found, span) = trace(&headers(&[("traceparent", &parent)]));
        assert_eq!((&*found, span.parent), (trace_id, Some(0x00f0_67aa_0ba9_02b7)));
        assert_eq!(span.sampled, Some(true));
        let unsampled = parent.replace("-01", "-00");
        assert_eq!(trace(&headers(&[("traceparent", &unsampled)])).1.sampled, Some(false));
        for wrong in [
            "00-0-1-01",
            "nonsense",
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &parent.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &parent.replacen("00-", "ff-", 1),
            &parent.to_uppercase(),
        ] {
            let (found, span) = trace(&headers(&[("traceparent", wrong)]));
            assert_eq!((found.len(), span.parent), (32, None), "{wrong}");
            assert!(!wrong.contains(&found));
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
        assert_eq!(query_value(&uri, "key").as_deref(), Some("a/b c"));
        assert_eq!(query_value(&uri, "empty").as_deref(), Some(""));
        assert_eq!(query_value(&uri, "key2").as_deref(), Some("\u{fffd}"));
        assert_eq!(query_value(&uri, "other"), None);
        assert_eq!(query_value(&Uri::from_static("/x"), "key"), None);
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let strict = |it: &str| {
            let name = HeaderName::from_static("x-gateway-strict");
            flag(&headers(&[("x-gateway-strict", it)]), &name)
        };
        assert!(strict("True").unwrap());
        assert!(!strict("0").unwrap());
        assert!(strict("perhaps").is_err());
    }

    #[test]
    fn too_many_headers_are_refused() {
        let mut headers = HeaderMap::new();
        for nth in 0..=MAX_HEADERS {
            let name = http::HeaderName::from_bytes(format!("x-{nth}").as_bytes()).unwrap();
            headers.insert(name, "1".parse().unwrap());
        }
        assert_eq!(check_headers(&headers).unwrap_err().status(), 431);
    }

    #[test]
    fn large_headers_are_refused() {
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            http::HeaderValue::from_str(&"x".repeat(MAX_HEADER_BYTES)).unwrap(),
        )]);
        assert_eq!(check_headers(&headers).unwrap_err().status(), 431);
    }

    #[test]
    fn a_request_names_one_host() {
        let check = |uri: &str, version: Version, hosts: &[&str]| {
            let mut request = Request::builder().uri(uri).version(version);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            check_host(&request.body(()).unwrap()).is_ok()
        };
        assert!(check("/", Version::HTTP_11, &["a"]));
        assert!(check("/", Version::HTTP_10, &[]));
        assert!(check("http://a/", Version::HTTP_2, &[]));
        assert!(!check("/", Version::HTTP_11, &[]));
        assert!(!check("/", Version::HTTP_2, &[]));
        assert!(!check("/", Version::HTTP_11, &["a", "a"]));
    }
}
