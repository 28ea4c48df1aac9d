//! `GET /v1/models`: what the caller's key may use.

use edge::Routes;

/// The endpoints.
pub fn routes() -> Routes {
    edge::models()
}
