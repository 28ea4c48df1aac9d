//! Function-URL events, version 2.0: a request as a function gets it.
//!
//! Left out: the decoded query and the readable time, which repeat what is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde_json::{Value, json};

use super::process::REGION;

/// AWS rejects longer events.
const LIMIT: usize = 6 * 1024 * 1024;

/// What concerns one connection only and is not passed on.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// An event, ready to be handed to a function.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) json: Bytes,
}

/// The event for a request to a function's own URL, unless it is too long.
pub(super) fn event(function: &str, head: &Parts, path: &str, body: &[u8]) -> Option<Event> {
    let (request_id, trace_id) = ids();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers(function, &head.headers, &trace_id),
        "requestContext": context(function, head, path, &request_id),
        "isBase64Encoded": false,
    });
    let cookies = cookies(&head.headers);
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !body.is_empty() {
        let text = textual(&head.headers).then(|| std::str::from_utf8(body).ok()).flatten();
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    let json = Bytes::from(event.to_string());
    (json.len() <= LIMIT).then_some(Event { request_id, trace_id, json })
}

/// The host name of a function URL.
pub(super) fn host(function: &str) -> String {
    format!("{}.lambda-url.{REGION}.on.aws", url_id(function))
}

/// The time since 1970. Lambda has its own clock, so the emulator has one too.
#[expect(clippy::disallowed_methods, reason = "the emulator stands for AWS, which has its clock")]
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn url_id(function: &str) -> String {
    function.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn ids() -> (String, String) {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seconds = now().as_secs();
    let request_id = format!("{seconds:08x}-0000-4000-8000-{count:012x}");
    let trace_id =
        format!("Root=1-{seconds:08x}-{count:024x};Parent={count:016x};Sampled=0;Lineage=1:0:0");
    (request_id, trace_id)
}

fn headers(function: &str, headers: &HeaderMap, trace_id: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for name in headers.keys() {
        if HOP_BY_HOP.contains(name) || name == header::COOKIE {
            continue;
        }
        let values: Vec<_> = values(headers, name).collect();
        out.insert(name.as_str().to_owned(), values.join(","));
    }
    let ours = [
        ("host", host(function)),
        ("x-amzn-trace-id", trace_id.to_owned()),
        ("x-amzn-tls-cipher-suite", "TLS_AES_128_GCM_SHA256".to_owned()),
        ("x-amzn-tls-version", "TLSv1.3".to_owned()),
        ("x-forwarded-for", forwarded_for(headers)),
        ("x-forwarded-port", "443".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
    ];
    out.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    out
}

fn forwarded_for(headers: &HeaderMap) -> String {
    let mut addresses: Vec<_> =
        values(headers, &HeaderName::from_static("x-forwarded-for")).collect();
    addresses.push("127.0.0.1".to_owned());
    addresses.join(", ")
}

fn context(function: &str, head: &Parts, path: &str, request_id: &str) -> Value {
    let id = url_id(function);
    let user_agent = values(&head.headers, &header::USER_AGENT).next().unwrap_or_default();
    json!({
        "accountId": "anonymous",
        "apiId": id,
        "domainName": host(function),
        "domainPrefix": id,
        "http": {
            "method": head.method.as_str(),
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": user_agent,
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "timeEpoch": u64::try_from(now().as_millis()).unwrap_or(u64::MAX),
    })
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines: Vec<_> = values(headers, &header::COOKIE).collect();
    let cookies = lines.iter().flat_map(|line| line.split(';'));
    cookies.map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty()).collect()
}

/// Whether AWS passes such a body on as text.
fn textual(headers: &HeaderMap) -> bool {
    let content_type = values(headers, &header::CONTENT_TYPE).next().unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["application/json", "application/javascript", "application/xml"];
    let text = kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || known.contains(&kind.as_str());
    text && !headers.contains_key(header::CONTENT_ENCODING)
}

fn values(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
