//! Endpoints, gathered from the functions that have them.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, handler::Handler, routing::MethodFilter};
use http::{Request, Response};
use tower::ServiceExt;

use crate::{App, reply};

/// Endpoints that one binary serves.
#[derive(Clone, Debug)]
pub struct Routes {
    router: Router<Arc<App>>,
    /// Whether any of them needs the configuration; those that do not start without it.
    pub(crate) configured: bool,
}

impl Routes {
    /// Endpoints that need the configuration.
    pub(crate) fn configured() -> Self {
        Self { router: Router::new(), configured: true }
    }

    /// Endpoints that work without.
    pub(crate) fn open() -> Self {
        Self { router: Router::new(), configured: false }
    }

    /// Adds an endpoint under a path.
    pub(crate) fn at<H, T>(mut self, method: MethodFilter, path: &str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.router = self.router.route(path, axum::routing::on(method, handler));
        self
    }

    /// Adds the endpoints of another function.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            router: self.router.merge(other.router),
            configured: self.configured || other.configured,
        }
    }

    /// The endpoints at work for one application.
    pub(crate) fn serve(self, app: Arc<App>) -> Served {
        let router = self
            .router
            .fallback(reply::unknown_path)
            .method_not_allowed_fallback(reply::wrong_method)
            .with_state(app);
        Served(router)
    }
}

/// Endpoints at work.
#[derive(Clone, Debug)]
pub(crate) struct Served(Router);

impl Served {
    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let infallible: Result<Response<Body>, Infallible> = self.0.clone().oneshot(request).await;
        match infallible {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
