//! Requests that only one provider can answer, because it keeps what they are about.

use canonical::{Error, ErrorKind, Result};
use providers::{RelayRequest, RelayResponse};

use crate::{Gateway, Snapshot};

impl Gateway {
    /// The provider of a collection: the one that the client names, else the default one, else the
    /// first that has the collection.
    pub fn provider_of<'a>(
        &self,
        snapshot: &'a Snapshot,
        collection: &str,
        only_provider: Option<&'a str>,
    ) -> Result<&'a str> {
        let has = |name: &&str| snapshot.upstream.has_collection(name, collection);
        let default = || snapshot.config.default_provider.as_deref();
        let names = || snapshot.config.providers.iter().map(|it| it.name.as_str());
        let found = match only_provider {
            Some(name) => Some(name).filter(has),
            None => default().filter(has).or_else(|| names().find(has)),
        };
        found.ok_or_else(|| {
            let message = format!("No provider that may be asked has `{collection}`.");
            Error::new(ErrorKind::InvalidRequest, message)
        })
    }

    /// Sends a request to one provider as it is.
    pub async fn relay(
        &self,
        snapshot: &Snapshot,
        provider: &str,
        request: RelayRequest,
    ) -> Result<RelayResponse> {
        snapshot.upstream.relay(provider, request).await
    }
}
