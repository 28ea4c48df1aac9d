//! One file from one allowed host.
//!
//! A plain GET on a connection of its own, to an address that was checked: no proxy, no redirects,
//! no cookies, no credentials, no compression.

use std::{fmt::Display, net::SocketAddr, time::Duration};

use http::{StatusCode, header};
use reqwest::{Response, Url, redirect, retry};

use super::{
    Budget,
    media_type::{agrees, detect_media_type},
    media_url::MediaUrl,
    network::Network,
    public_address::is_public,
};
use crate::USER_AGENT;

/// How many addresses of one name are connected to.
const MAX_ADDRESSES: usize = 4;
/// How long a connection may take, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How much room is made for a file before any of it is there.
const MAX_INITIAL_CAPACITY: usize = 1024 * 1024;

/// A file, and what its bytes say it is.
#[derive(Debug)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
}

/// Fetches a file, or says why not: the end of a sentence that begins with the host.
pub(super) async fn download(
    network: &dyn Network,
    url: &MediaUrl,
    budget: Budget<'_>,
) -> Result<File, String> {
    let sockets = public_sockets(network, &url.host).await?;
    let target = parse_again(url)?;
    let client = client_for(network, url, &sockets)?;
    let request = client
        .get(target)
        .header(header::ACCEPT, "image/*, application/pdf, audio/*, video/*")
        // Compressed bytes could grow beyond the budget while they are unpacked.
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");

    let response = request.send().await.map_err(|error| unreachable(url, error))?;
    // A last look at what was really connected to, should the client ever resolve by itself.
    let is_pinned = response.remote_addr().is_some_and(|it| sockets.contains(&it));
    if !is_pinned {
        return Err("was reached at an address that was not checked".to_owned());
    }
    read(url, response, budget).await
}

/// The sockets behind a host's addresses, all of which have to be public.
async fn public_sockets(network: &dyn Network, host: &str) -> Result<Vec<SocketAddr>, String> {
    let addresses = network.lookup(host).await.map_err(|error| {
        tracing::debug!(host, %error, "a name of `fetch.hosts` does not resolve");
        "does not resolve"
    })?;
    // One that is not public is reason enough to trust none of them.
    if !addresses.iter().copied().all(is_public) {
        return Err("resolves to an address that is not public".to_owned());
    }
    if addresses.is_empty() {
        return Err("could not be reached".to_owned());
    }
    let checked = addresses.into_iter().take(MAX_ADDRESSES);
    Ok(checked.map(|address| network.socket(host, address)).collect())
}

/// The URL as the client's own parser reads it, unless it reads another host than was checked.
fn parse_again(url: &MediaUrl) -> Result<Url, String> {
    let parsed = format!("https://{}{}", url.host, url.target).parse::<Url>();
    // Two parsers that disagree about a URL are how such checks are usually passed by.
    let same = parsed.ok().filter(|it| it.host_str() == Some(&url.host) && it.port().is_none());
    same.ok_or_else(|| "is not the name of a host".to_owned())
}

/// A client that reaches one host, at the addresses that were checked, and keeps nothing.
fn client_for(
    network: &dyn Network,
    url: &MediaUrl,
    sockets: &[SocketAddr],
) -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(network.tls()?)
        // The client does not resolve the name again: a second response of DNS could name another
        // address.
        .resolve_to_addrs(&url.host, sockets)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        // A kept connection could serve another call, whose client may not use this host.
        .pool_max_idle_per_host(0)
        .build();
    client.map_err(|error| unreachable(url, error))
}

/// Reads a response as far as the budget goes.
async fn read(url: &MediaUrl, mut response: Response, budget: Budget<'_>) -> Result<File, String> {
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("returned a redirect ({status}), and none is followed"));
    }
    if status != StatusCode::OK {
        return Err(format!("returned {}", status.as_u16()));
    }
    let encoding = header_text(&response, header::CONTENT_ENCODING);
    if !matches!(&*encoding, "" | "identity") {
        return Err("returned a compression that was not requested".to_owned());
    }

    let length = response.content_length().unwrap_or(0);
    // Refused by its announced length, before any of it is read.
    if !budget.has(length) {
        return Err(budget.exceeded());
    }
    // A length is only announced; room for all of it would be taken by one line of a header.
    let capacity = usize::try_from(length).map_or(0, |it| it.min(MAX_INITIAL_CAPACITY));
    let mut bytes = Vec::with_capacity(capacity);
    let declared = header_text(&response, header::CONTENT_TYPE);
    while let Some(data) = response.chunk().await.map_err(|error| broke(url, error))? {
        if !budget.spend(data.len() as u64) {
            return Err(budget.exceeded());
        }
        bytes.extend_from_slice(&data);
    }

    let media_type = detect_media_type(&bytes)
        .ok_or("returned something that is no image, PDF, audio or video")?;
    if !agrees(&declared, media_type) {
        return Err("returned a `Content-Type` that its bytes contradict".to_owned());
    }
    Ok(File { bytes, media_type })
}

fn header_text(response: &Response, name: header::HeaderName) -> String {
    let value = response.headers().get(name);
    value.map_or("", |it| it.to_str().unwrap_or("?")).to_owned()
}

fn unreachable(url: &MediaUrl, error: reqwest::Error) -> String {
    if !error.is_connect() {
        return broke(url, error.without_url());
    }
    tracing::debug!(host = url.host, error = %error.without_url(), "a fetch could not connect");
    "could not be reached".to_owned()
}

fn broke(url: &MediaUrl, error: impl Display) -> String {
    tracing::debug!(host = url.host, %error, "a fetch broke");
    "broke off before it was complete".to_owned()
}
