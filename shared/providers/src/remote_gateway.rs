//! Requests to a gateway of one's own, from a terminal: over the same connections as to providers.

use std::time::Duration;

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use config::{ConnectionOptions, PoolOptions};
use http_body_util::{BodyExt, Limited};

use crate::client::Client;

/// Time for a response as a whole.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How large a response may be, in bytes.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

impl Client {
    /// Sends a request to any server and reads the whole response, whatever its status.
    pub async fn request(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let options =
            ConnectionOptions { ca_file: self.ca_file.clone(), ..ConnectionOptions::default() };
        let connections = self.connections(&options, &PoolOptions::default(), &|_| None)?;
        let exchanged = async {
            let response = connections.send_as_it_is(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
            let body = body.map_err(|error| {
                Error::new(ErrorKind::Network, "ended its response early").caused_by(error)
            })?;
            Ok(http::Response::from_parts(head, body.to_bytes()))
        };
        let exchanged = tokio::time::timeout(RESPONSE_TIMEOUT, exchanged).await;
        exchanged.unwrap_or_else(|_| {
            let message = format!("did not respond within {} s", RESPONSE_TIMEOUT.as_secs());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}
