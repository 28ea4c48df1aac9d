//! The `OpenAPI` document: written by hand, served as it is, and held to the table of endpoints.

use http::StatusCode;

use crate::{endpoint::HandlerFuture, front::Exchange, response};

/// The document.
const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(crate) fn respond(_: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move { Ok(response::json(StatusCode::OK, DOCUMENT)) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::{endpoint::Access, endpoints::ENDPOINTS};

    const METHODS: [&str; 6] = ["get", "put", "post", "delete", "head", "patch"];

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// The methods of every path: `get /health`.
    fn documented() -> BTreeSet<String> {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let methods = paths.iter().flat_map(|(path, item)| {
            let methods = METHODS.into_iter().filter(|method| item.get(*method).is_some());
            methods.map(move |method| format!("{method} {path}"))
        });
        methods.collect()
    }

    #[test]
    fn every_endpoint_is_documented_and_nothing_else() {
        let served = ENDPOINTS.iter().flat_map(|endpoint| {
            let method = endpoint.method.as_str().to_lowercase();
            endpoint.paths.iter().map(move |path| format!("{method} {}", path.replace("{*", "{")))
        });
        let (served, documented) = (served.collect::<BTreeSet<_>>(), documented());
        let missing: Vec<_> = served.difference(&documented).collect();
        let stale: Vec<_> = documented.difference(&served).collect();
        assert!(missing.is_empty() && stale.is_empty(), "missing {missing:?}, stale {stale:?}");
    }

    #[test]
    fn the_document_names_the_role_of_each_endpoint() {
        let document = document();
        for endpoint in ENDPOINTS {
            for path in endpoint.paths {
                let method = endpoint.method.as_str().to_lowercase();
                let operation = &document["paths"][path.replace("{*", "{")][method];
                let role = match endpoint.access {
                    Access::Operator(role) => Some(role.name()),
                    Access::Open | Access::Client | Access::Metrics => None,
                };
                assert_eq!(operation["x-role"].as_str(), role, "{path}");
                let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
                assert_eq!(is_open, endpoint.access == Access::Open, "{path}");
            }
        }
    }

    #[test]
    fn the_version_is_ours() {
        assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
