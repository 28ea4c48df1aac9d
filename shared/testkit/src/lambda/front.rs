//! The side that clients see: CloudFront's behaviours, and function URLs behind them.

use std::io;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::pool::Pool;
use super::process::Processes;
use super::report::Ledger;
use super::{Function, event, response};
use crate::body::Body;

/// The path of the report, for other processes.
const REPORT: &str = "/_emulator/report";

/// Below this, functions are reached without CloudFront, by their name.
const RAW: &str = "/_raw/";

/// Every function behind one address.
#[derive(Debug)]
pub(super) struct Front {
    pools: Vec<Arc<Pool>>,
    origin_secret: Option<String>,
    ledger: Arc<Ledger>,
}

impl Front {
    pub(super) fn new(
        functions: Vec<Function>,
        origin_secret: Option<String>,
        ledger: Arc<Ledger>,
        processes: &Arc<Processes>,
    ) -> Self {
        let pool = |function| Pool::new(function, Arc::clone(&ledger), Arc::clone(processes));
        Self { pools: functions.into_iter().map(pool).collect(), origin_secret, ledger }
    }

    /// Serves one request of a client.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if path == REPORT {
            return self.report();
        }
        let (pool, path) = if let Some(rest) = path.strip_prefix(RAW) {
            let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
            let named = self.pools.iter().find(|pool| pool.function.name == name);
            (named, format!("/{path}"))
        } else {
            self.through_cloudfront(&mut head)?;
            (self.behind(&path), path)
        };
        let Some(pool) = pool.cloned() else {
            return Ok(response::plain(404, "no function behind this path"));
        };
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let Some(event) = event::event(&pool.function.name, &head, &path, &body) else {
            return Ok(response::too_large());
        };
        let request_id = event.request_id.clone();
        // On a task of its own: a client that leaves does not stop the function.
        let answer = tokio::spawn(pool.call(event)).await.map_err(io::Error::other)?;
        with_request_id(answer, &request_id)
    }

    fn behind(&self, path: &str) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| {
            pool.function.paths.iter().any(|pattern| fits(pattern.as_bytes(), path.as_bytes()))
        })
    }

    fn through_cloudfront(&self, head: &mut Parts) -> io::Result<()> {
        let via = HeaderValue::from_static("1.1 emulator.cloudfront.net (CloudFront)");
        head.headers.insert(header::VIA, via);
        head.headers.insert("x-amz-cf-id", HeaderValue::from_static("emulated"));
        if let Some(secret) = &self.origin_secret {
            let secret = secret.parse().map_err(io::Error::other)?;
            head.headers.insert("x-origin-secret", secret);
        }
        Ok(())
    }

    fn report(&self) -> io::Result<Response<Body>> {
        let json = serde_json::to_vec(&self.ledger.report()).map_err(io::Error::other)?;
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::whole(json))
            .map_err(io::Error::other)
    }
}

fn with_request_id(mut answer: Response<Body>, request_id: &str) -> io::Result<Response<Body>> {
    let id = request_id.parse().map_err(io::Error::other)?;
    answer.headers_mut().insert("x-amzn-requestid", id);
    Ok(answer)
}

/// Whether a path fits a pattern of CloudFront: `*` is any run of characters, `?` any one.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, path),
        (Some((b'*', rest)), Some((_, later))) => fits(rest, path) || fits(pattern, later),
        (Some((b'?', rest)), Some((_, later))) => fits(rest, later),
        (Some((wanted, rest)), Some((found, later))) => wanted == found && fits(rest, later),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_matches_any_run_of_characters() {
        let gemini = b"/v1beta/models/*:generateContent";
        assert!(fits(gemini, b"/v1beta/models/a/b:generateContent"));
        assert!(!fits(gemini, b"/v1beta/models/a:countTokens"));
        assert!(fits(b"/admin/*", b"/admin/"));
        assert!(!fits(b"/admin/*", b"/admin"));
        assert!(fits(b"*", b"/anything"));
    }
}
