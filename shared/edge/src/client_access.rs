//! Which clients may call: by their keys, with a wait for addresses that guess them; and where the
//! gateway has no keys, not from any page.

use std::sync::PoisonError;

use canonical::{Error, ErrorKind, Result};
use config::{Auth, Cors};
use gateway::Admitted;
use http::{HeaderMap, header};

use crate::{cors, front::App, operator_credentials::FETCH_SITE, request::Arrival};

/// Admits a client whose key is right. An address that guesses keys has to wait.
pub(crate) async fn admit(
    app: &App,
    arrival: &Arrival,
    headers: &HeaderMap,
    keys: &[&str],
) -> Result<Admitted> {
    let admitted = admit_key(app, arrival, keys).await?;
    let config = &admitted.snapshot.config;
    if config.auth == Auth::None {
        check_page(&config.cors, headers)?;
    }
    Ok(admitted)
}

async fn admit_key(app: &App, arrival: &Arrival, keys: &[&str]) -> Result<Admitted> {
    // In Lambda an instance sees one call at a time, so that counting here would stop nobody.
    let Some(connection) = &arrival.connection else {
        return app.gateway.admit(keys, arrival.clock).await;
    };
    let (address, now) = (connection.address(), arrival.clock.now());
    let wrong_keys = || app.wrong_keys.lock().unwrap_or_else(PoisonError::into_inner);
    // The lock is not held over the await below: the store may take its time.
    wrong_keys().check(address, keys, now)?;

    let admitted = app.gateway.admit(keys, arrival.clock).await;
    match &admitted {
        Ok(_) => wrong_keys().note_right(address, keys, now),
        // A client without any key is misconfigured and guesses nothing.
        Err(error) if error.kind == ErrorKind::Unauthenticated && !keys.is_empty() => {
            wrong_keys().note_wrong(address, now);
            // Strangers can send wrong keys without end, and each line of a log costs.
            if let Some(times) = app.wrong_key_log.count(now) {
                tracing::warn!(%address, times, "a wrong API key was sent");
            }
        }
        Err(_) => {}
    }
    admitted
}

/// Refuses a page that may not call. A browser sends what needs no preflight from any page that its
/// user visits, and without keys it would be served and paid.
fn check_page(cors: &Cors, headers: &HeaderMap) -> Result<()> {
    let is_foreign = if headers.contains_key(header::ORIGIN) {
        cors::allowed_origin(cors, headers).is_none()
    } else {
        let site = headers.get(FETCH_SITE).map(|it| it.as_bytes());
        matches!(site, Some(b"cross-site" | b"same-site"))
    };
    if is_foreign {
        let message = "This gateway has no keys (`auth: none`), so that pages of this origin may \
                       not call it; `cors.origins` in its configuration lists those that may.";
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_a_page_of_another_origin_may_not_call() {
        let may_call = |name: &'static str, value: &str| {
            let name = http::HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            check_page(&Cors::default(), &headers).is_ok()
        };
        assert!(check_page(&Cors::default(), &HeaderMap::new()).is_ok(), "a program");
        assert!(may_call("origin", "http://localhost:3000"));
        assert!(!may_call("origin", "https://evil.example"));
        assert!(!may_call("origin", "null"));
        assert!(may_call("sec-fetch-site", "same-origin") && may_call("sec-fetch-site", "none"));
        assert!(!may_call("sec-fetch-site", "cross-site"));
        assert!(!may_call("sec-fetch-site", "same-site"));
    }
}
