//! One file from one allowed host.
//!
//! A plain GET on a connection of its own: no redirects, no cookies, no credentials, no compression.

use std::{fmt::Display, pin::pin};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{
    Budget,
    address::is_public,
    kind::{agrees, kind_of},
    network::{Network, Pipe},
    place::Place,
};

/// How many addresses of one name are tried.
const TRIED: usize = 4;
/// How much room is made for a file before any of it is there.
const FIRST: usize = 1024 * 1024;

/// A file, and what its bytes say it is.
#[derive(Debug)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
}

/// Fetches a file, or says why not: the end of a sentence that begins with the host.
pub(super) async fn download(
    network: &dyn Network,
    place: &Place,
    budget: Budget<'_>,
) -> Result<File, String> {
    let pipe = connected(network, &place.host).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(pipe)).await.map_err(|error| broke(place, error))?;
    let exchange = pin!(async {
        let answer = sender.send_request(request(place)?).await;
        read(place, answer.map_err(|error| broke(place, error))?, budget).await
    });
    // The connection is driven from here, so that it ends with whoever waits for it.
    match select(exchange, pin!(connection)).await {
        Either::Left((file, _)) => file,
        Either::Right((_, exchange)) => exchange.await,
    }
}

/// A connection to one of the host's addresses, all of which have to be public.
async fn connected(network: &dyn Network, host: &str) -> Result<Box<dyn Pipe>, String> {
    let addresses = network.lookup(host).await.map_err(|error| {
        tracing::debug!(host, %error, "a name of `fetch.hosts` does not resolve");
        "does not resolve"
    })?;
    // One that is not public is reason enough to trust none of them.
    if !addresses.iter().copied().all(is_public) {
        return Err("resolves to an address that is not public".to_owned());
    }
    for address in addresses.into_iter().take(TRIED) {
        match network.connect(host, address).await {
            Ok(pipe) => return Ok(pipe),
            Err(error) => tracing::debug!(host, %address, %error, "nothing can be fetched here"),
        }
    }
    Err("could not be reached".to_owned())
}

fn request(place: &Place) -> Result<Request<Empty<Bytes>>, String> {
    Request::get(place.target.as_str())
        .header(header::HOST, &place.host)
        .header(header::USER_AGENT, concat!("lockgate/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "image/*, application/pdf, audio/*, video/*")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| broke(place, error))
}

/// Reads an answer as far as the budget goes.
async fn read(
    place: &Place,
    answer: Response<Incoming>,
    budget: Budget<'_>,
) -> Result<File, String> {
    let status = answer.status();
    if status.is_redirection() {
        return Err(format!("answered with a redirect ({status}), and none is followed"));
    }
    if status != StatusCode::OK {
        return Err(format!("answered with {}", status.as_u16()));
    }
    let (parts, mut body) = answer.into_parts();
    let said = |name| parts.headers.get(name).map_or(Ok(""), |it| it.to_str()).unwrap_or("?");
    if !matches!(said(header::CONTENT_ENCODING), "" | "identity") {
        return Err("answered in a compression that was not asked for".to_owned());
    }
    let length = body.size_hint().lower();
    if !budget.has(length) {
        return Err(budget.exceeded());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_or(0, |it| it.min(FIRST)));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broke(place, error))?.into_data() else { continue };
        if !budget.spend(data.len() as u64) {
            return Err(budget.exceeded());
        }
        bytes.extend_from_slice(&data);
    }
    let media_type =
        kind_of(&bytes).ok_or("answered with something that is no picture, PDF, sound or film")?;
    if !agrees(said(header::CONTENT_TYPE), media_type) {
        return Err("answered with a `Content-Type` that its bytes contradict".to_owned());
    }
    Ok(File { bytes, media_type })
}

fn broke(place: &Place, error: impl Display) -> String {
    tracing::debug!(host = place.host, %error, "a fetch broke");
    "broke off before it was complete".to_owned()
}
