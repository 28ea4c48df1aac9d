//! The way to the internet: names, and connections to one address.
//!
//! A trait, so that tests can put a small internet of their own in its place. What is refused is
//! decided above it, so that they cannot replace that; nothing outside this crate can replace either.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use hyper_rustls::ConfigBuilderExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, crypto::ring, pki_types::ServerName},
};

/// Where pictures are served.
const PORT: u16 = 443;
/// How long a connection may take, its handshake included.
const CONNECT: Duration = Duration::from_secs(3);

/// A connection.
pub(super) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// What resolves and connects.
pub(super) trait Network: fmt::Debug + Send + Sync {
    /// Every address of a name.
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
    /// A connection to this very address, where somebody proved to be the host.
    fn connect<'a>(
        &'a self,
        host: &'a str,
        address: IpAddr,
    ) -> BoxFuture<'a, io::Result<Box<dyn Pipe>>>;
}

/// The real one: the system's resolver, TCP and TLS.
#[derive(Default)]
pub(super) struct Internet {
    tls: OnceLock<TlsConnector>,
}

impl Internet {
    /// TLS, prepared when it is first needed: most gateways fetch nothing.
    fn tls(&self) -> Result<&TlsConnector, rustls::Error> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls);
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_webpki_roots()
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.tls.get_or_init(|| TlsConnector::from(Arc::new(config))))
    }

    async fn open(&self, host: &str, address: IpAddr) -> io::Result<Box<dyn Pipe>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = self.tls().map_err(io::Error::other)?;
        let socket = TcpStream::connect((address, PORT)).await?;
        Ok(Box::new(tls.connect(name, socket).await?))
    }
}

impl Network for Internet {
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(lookup_host((host, PORT)).await?.map(|it| it.ip()).collect()) })
    }

    fn connect<'a>(
        &'a self,
        host: &'a str,
        address: IpAddr,
    ) -> BoxFuture<'a, io::Result<Box<dyn Pipe>>> {
        Box::pin(async move { tokio::time::timeout(CONNECT, self.open(host, address)).await? })
    }
}

impl fmt::Debug for Internet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Internet")
    }
}
