//! The one HTTP client: connections to providers, kept for the next call.
//!
//! hyper's own pooled client rather than reqwest: reqwest wraps the same pool, and what it adds
//! (redirects, cookies, proxies from the environment, decompression) is what a gateway must not do
//! with somebody's key in hand.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use storage::Signer;

/// How long a connection may take. The next step is worth more than a slow handshake.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an unused connection is kept. Lambda freezes between calls and sockets die meanwhile;
/// the clock goes on, so what is older than this is not tried again.
const UNUSED: Duration = Duration::from_secs(20);
/// How often an HTTP/2 connection is asked whether it is alive while a call is open on it.
const ALIVE: Duration = Duration::from_secs(10);

/// Connections to providers, and what signs for those who take signatures. A clone shares them.
#[derive(Clone)]
pub struct Client {
    pub(crate) connections: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub(crate) signer: Signer,
}

impl Client {
    /// A client without any connection yet.
    pub fn new(signer: Signer) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(UNUSED)
            .http2_keep_alive_interval(ALIVE)
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build(connector);
        Self { connections, signer }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
