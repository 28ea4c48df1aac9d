//! Exports to collectors of telemetry, over the connections that providers share.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use config::{ConnectionOptions, PoolOptions};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use storage::Secret;

use crate::{Client, connections::HttpRequest};

/// One export.
#[derive(Debug)]
pub struct ExportRequest<'a> {
    /// Where it goes.
    pub url: &'a str,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Headers beside that one.
    pub headers: &'a [(String, Secret)],
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// Sends an export. The caller bounds the time.
    ///
    /// # Errors
    ///
    /// `Network` when the collector cannot be reached, `Upstream` when it does not take the export.
    pub async fn export(&self, request: ExportRequest<'_>) -> Result<()> {
        let options = (ConnectionOptions::default(), PoolOptions::default());
        let connections = self.connections(&options.0, &options.1, &|_| None)?;
        let url = reqwest::Url::parse(request.url).map_err(|error| {
            Error::new(ErrorKind::Network, "The collector's URL is not valid.").caused_by(error)
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        for (name, value) in request.headers {
            let name = HeaderName::try_from(name);
            let value = HeaderValue::try_from(value.expose());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        let request = HttpRequest {
            method: Method::POST,
            url,
            headers: Cow::Owned(headers),
            body: request.body,
        };
        let response = connections.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            let message = format!("The collector returned status {status}.");
            return Err(Error::new(ErrorKind::Upstream, message));
        }
        Ok(())
    }
}
