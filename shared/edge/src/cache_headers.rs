//! What a client's headers say of repeated requests: the response cache, and idempotency keys.

use canonical::{Error, Result};
use gateway::{CacheDirectives, CacheMode};
use http::{HeaderMap, HeaderName, header};

use crate::{request::flag, response::CACHE};

/// How long an idempotency key may be, in bytes.
const MAX_KEY_BYTES: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SKIP_CACHE: HeaderName = HeaderName::from_static("x-skip-cache");

/// What the client says about the response cache: in `X-Gateway-Cache`, in `Cache-Control`
/// (RFC 9111, section 5.2.1), or with `X-Skip-Cache: true`.
pub(crate) fn cache_directives(headers: &HeaderMap) -> Result<CacheDirectives> {
    let mut directives = CacheDirectives::default();
    // Our own header comes last and wins: browsers and proxies set `Cache-Control` by themselves.
    for name in [header::CACHE_CONTROL, CACHE] {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        for word in lines.flat_map(|line| line.split(',')).map(str::trim) {
            note_word(&mut directives, &word.to_ascii_lowercase());
        }
    }
    if flag(headers, &SKIP_CACHE)? {
        directives.mode = CacheMode::NoStore;
    }
    Ok(directives)
}

/// Notes one directive. Those that are unknown are passed over, as RFC 9111 wants it.
fn note_word(directives: &mut CacheDirectives, word: &str) {
    match word {
        "no-store" | "bypass" => directives.mode = CacheMode::NoStore,
        "no-cache" | "refresh" => directives.mode = CacheMode::Refresh,
        "only-if-cached" => directives.mode = CacheMode::OnlyIfCached,
        "use" => directives.mode = CacheMode::Always,
        _ => {
            let age = word.strip_prefix("max-age=").and_then(|age| age.parse().ok());
            directives.max_age = age.or(directives.max_age);
            // A response that must be zero seconds old can only be a new one, which may be kept all
            // the same.
            if directives.max_age == Some(0) && directives.mode == CacheMode::Default {
                directives.mode = CacheMode::Refresh;
            }
        }
    }
}

/// The client's `Idempotency-Key`: a text, in quotes or without.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    // The draft of the header has quotes (a structured field), and most clients send none.
    let bare = key.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(key);
    if bare.is_empty() || MAX_KEY_BYTES < bare.len() {
        let message =
            format!("The header `Idempotency-Key` must be a text of 1 to {MAX_KEY_BYTES} bytes.");
        return Err(Error::invalid("Idempotency-Key", message));
    }
    Ok(Some(bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let all = all.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        all.collect()
    }

    #[test]
    fn a_wish_is_heard_in_every_header() {
        let directives = |name, value| cache_directives(&headers(&[(name, value)])).unwrap();
        for (name, value, mode) in [
            ("cache-control", "no-store", CacheMode::NoStore),
            ("cache-control", "private, No-Cache", CacheMode::Refresh),
            ("cache-control", "only-if-cached", CacheMode::OnlyIfCached),
            ("cache-control", "max-age=0", CacheMode::Refresh),
            ("x-gateway-cache", "use", CacheMode::Always),
            ("x-gateway-cache", "no-store", CacheMode::NoStore),
            ("x-gateway-cache", "hit", CacheMode::Default),
            ("x-skip-cache", "true", CacheMode::NoStore),
        ] {
            assert_eq!(directives(name, value).mode, mode, "{name}: {value}");
        }
        assert_eq!(directives("cache-control", "max-age=60").max_age, Some(60));
        assert_eq!(cache_directives(&HeaderMap::new()).unwrap(), CacheDirectives::default());
    }

    #[test]
    fn an_idempotency_key_has_a_bounded_length() {
        let key = |value| idempotency_key(&headers(&[("idempotency-key", value)]));
        assert_eq!(key("abc").unwrap().as_deref(), Some("abc"));
        assert_eq!(key("\"abc\"").unwrap().as_deref(), Some("abc"));
        assert!(key("").is_err() && key("\"\"").is_err());
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
