//! What every request of one process shares, and what happens to each before and after its endpoint.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::body::Body;
use futures_util::FutureExt;
use gateway::{Clock, Gateway};
use http::{HeaderName, HeaderValue, Request, Response, header};
use storage::Secret;
use subtle::ConstantTimeEq;

use crate::{
    api::Api,
    limits, reply,
    request::{Arrival, request_id, trace_id},
    routes::{Routes, Served},
    settings::{KeepAliveSettings, now_ms},
};

/// The header by which the front door proves itself.
pub(crate) const ORIGIN_SECRET: HeaderName = HeaderName::from_static("x-origin-secret");
/// The header that carries the name of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The same, where Anthropic's clients look for it.
const ANTHROPICS_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What every request of one process shares.
#[derive(Debug)]
pub struct App {
    /// The gateway itself.
    pub gateway: Gateway,
    /// How large a body may be, in bytes.
    pub(crate) body_limit: usize,
    /// What the front door may show; anybody may come when there is none.
    pub(crate) origin_secrets: Vec<Secret>,
    /// When silence is filled.
    pub(crate) heartbeats: KeepAliveSettings,
}

/// An application and its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) app: Arc<App>,
    served: Served,
}

impl Front {
    pub(crate) fn new(app: Arc<App>, routes: Routes) -> Self {
        Self { served: routes.serve(app.clone()), app }
    }

    /// Answers one request, whatever happens. `platform_deadline` is in milliseconds since 1970.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Body>,
        platform_deadline: Option<u64>,
    ) -> Response<Body> {
        let arrival = Arrival {
            request_id: request_id(request.headers()),
            trace_id: trace_id(request.headers()),
            clock: Clock { arrived: now_ms(), started: Instant::now() },
            platform_deadline,
        };
        let id = HeaderValue::from_str(&arrival.request_id);
        let api = Api::of(request.uri().path(), request.headers());
        let mut response = match self.refuse(&request) {
            Err(error) => {
                limits::discard(request).await;
                reply::failure_in(api.format(), &error, &arrival.request_id)
            }
            Ok(()) => {
                request.extensions_mut().insert(arrival.clone());
                let served = AssertUnwindSafe(self.served.call(request)).catch_unwind();
                served.await.unwrap_or_else(|_| {
                    tracing::error!(request_id = arrival.request_id, "an endpoint panicked");
                    reply::failure_in(api.format(), &reply::internal(), &arrival.request_id)
                })
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = id {
            if api == Api::Anthropic {
                headers.insert(ANTHROPICS_REQUEST_ID, id.clone());
            }
            headers.insert(REQUEST_ID, id);
        }
        let private = HeaderValue::from_static("private, no-store, no-transform");
        headers.entry(header::CACHE_CONTROL).or_insert(private);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    /// Turns away what must not come further.
    fn refuse(&self, request: &Request<Body>) -> canonical::Result<()> {
        if !self.is_from_the_front_door(request) {
            return Err(reply::not_from_the_front_door());
        }
        limits::check_headers(request.headers())
    }

    fn is_from_the_front_door(&self, request: &Request<Body>) -> bool {
        if self.app.origin_secrets.is_empty() {
            return true;
        }
        let shown = request.headers().get(&ORIGIN_SECRET).map_or(&b""[..], |it| it.as_bytes());
        let fits = |it: &&Secret| bool::from(it.expose().as_bytes().ct_eq(shown));
        0 < self.app.origin_secrets.iter().filter(fits).count()
    }
}
