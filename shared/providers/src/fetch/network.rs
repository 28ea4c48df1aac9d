//! The way to the internet: the addresses of names, and whose certificates are trusted there.
//!
//! A trait, so that tests can put a small internet of their own in its place. What is refused is
//! decided above it, so that they cannot replace that; nothing outside this crate can replace either.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
};

use futures_util::future::BoxFuture;
use rustls::ClientConfig;
use tokio::net::lookup_host;

use crate::tls;

/// Where media are served.
const HTTPS_PORT: u16 = 443;

/// A resolver of names that also says how their hosts are reached.
pub(super) trait Network: fmt::Debug + Send + Sync {
    /// Every address of a name.
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
    /// The socket behind an address of a host: port 443 of the address itself.
    fn socket(&self, host: &str, address: IpAddr) -> SocketAddr;
    /// The roots that TLS trusts.
    fn tls(&self) -> Result<ClientConfig, String>;
}

/// The real internet: the system's resolver, and the public roots.
#[derive(Default)]
pub(super) struct Internet {
    tls: OnceLock<ClientConfig>,
}

impl Network for Internet {
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let sockets = lookup_host((host, HTTPS_PORT)).await?;
            Ok(sockets.map(|socket| socket.ip()).collect())
        })
    }

    fn socket(&self, _host: &str, address: IpAddr) -> SocketAddr {
        (address, HTTPS_PORT).into()
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        // Prepared when it is first needed: most gateways fetch nothing.
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = tls::client_config(None, &["http/1.1"])?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

impl fmt::Debug for Internet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Internet")
    }
}
