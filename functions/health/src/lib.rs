//! `GET /health`: whether anybody is there, and ready.

use edge::Routes;

/// The endpoints.
pub fn routes() -> Routes {
    edge::health()
}
