//! Messages to receivers that are no providers: webhooks, and services of AWS.

use std::{borrow::Cow, future::Future, time::Duration};

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use config::Config;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use reqwest::Url;
use storage::{Secret, UnsignedRequest};

use crate::{
    Client, USER_AGENT,
    connections::{Connections, HttpRequest},
    endpoint::ResolveSecret,
};

/// How large a receiver's answer may be to be read, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;
/// How long a receiver may take to accept a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A message to a receiver.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where the message goes; the address may hold a token.
    pub url: Secret,
    /// The type of the body.
    pub content_type: &'static str,
    /// Headers beside those that every message has.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The service of AWS that the message is signed for, and its region.
    pub service: Option<(&'static str, String)>,
}

impl Client {
    /// Sends a message at `now` (milliseconds since 1970). Succeeds once the receiver has accepted it,
    /// with its answer.
    pub fn send_message<'a>(
        &'a self,
        message: &'a Message,
        config: &Config,
        resolve: ResolveSecret<'_>,
        now: u64,
    ) -> impl Future<Output = Result<Bytes>> + Send + use<'a> {
        // Before the future, which then borrows nothing of the configuration and may outlive it.
        let connections = self.connections(&config.connection, &config.pool, resolve);
        async move { self.send_over(connections?, message, now).await }
    }

    async fn send_over(
        &self,
        connections: Connections,
        message: &Message,
        now: u64,
    ) -> Result<Bytes> {
        let address = self.receiver_url(message);
        let url = Url::parse(&address).map_err(|_not_a_url| refused("its URL is not one"))?;
        let mut headers = message_headers(message);
        if let Some((service, region)) = &message.service {
            let own = message.headers.iter().map(|(name, value)| (*name, value.as_str()));
            let signed_headers: Vec<_> =
                [("content-type", message.content_type)].into_iter().chain(own).collect();
            let unsigned = UnsignedRequest {
                method: "POST",
                url: &address,
                headers: &signed_headers,
                body: message.body.as_bytes(),
                service,
                region,
            };
            let signed = self.signer.sign(&unsigned, now).await;
            for (name, value) in signed.map_err(|error| refused(&error.to_string()))? {
                add(&mut headers, name, value.expose());
            }
        }

        let body = Bytes::from(message.body.clone());
        let sent = connections.send(HttpRequest {
            method: Method::POST,
            url,
            headers: Cow::Owned(headers),
            body,
        });
        let exchanged = async {
            let response = sent.await?;
            let (head, body) = response.into_parts();
            if !head.status.is_success() {
                return Err(refused(&format!("it returned status {}", head.status.as_u16())));
            }
            let read = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
            let read = read.map_err(|error| refused("its response broke off").caused_by(error))?;
            Ok(read.to_bytes())
        };
        let response = tokio::time::timeout(TIMEOUT, exchanged).await;
        response.map_err(|_elapsed| refused("it did not respond in time"))?
    }

    /// Where a message goes: services of AWS may be played by somebody else.
    fn receiver_url(&self, message: &Message) -> String {
        match (&self.aws_endpoint, &message.service) {
            (Some(endpoint), Some(_)) => format!("{}/", endpoint.trim_end_matches('/')),
            _ => message.url.expose().to_owned(),
        }
    }
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Network, reason)
}

fn message_headers(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(message.content_type));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &message.headers {
        add(&mut headers, name, value);
    }
    headers
}

/// Adds a header that can be one.
fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) =
        (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
    {
        headers.insert(name, value);
    }
}
