//! TLS in front of a plain server on loopback, under certificates of a CA that only the tests trust.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::server;

/// A server that terminates TLS and forwards to a plain one. It stops when it is dropped.
pub struct TlsFront {
    address: SocketAddr,
    ca_pem: String,
    accepting: AbortHandle,
}

impl TlsFront {
    /// Starts a front for these host names, before the plain server at `target` (`host:port`).
    ///
    /// # Panics
    ///
    /// When no port can be had, or a name cannot be in a certificate.
    pub fn start(target: &str, names: &[&str]) -> Self {
        Self::with(target, IssuedCertificate::new(names))
    }

    /// Starts a front with this certificate, before the plain server at `target`.
    ///
    /// # Panics
    ///
    /// As [`TlsFront::start`].
    pub fn with_certificate(target: &str, certificate: IssuedCertificate) -> Self {
        Self::with(target, certificate)
    }

    /// Starts a front whose certificate has expired, before the plain server at `target`.
    ///
    /// # Panics
    ///
    /// As [`TlsFront::start`].
    pub fn expired(target: &str, names: &[&str]) -> Self {
        Self::with(target, IssuedCertificate::issue(names, Some(2020)))
    }

    fn with(target: &str, issued: IssuedCertificate) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has these versions")
            .with_no_client_auth()
            .with_single_cert(vec![issued.certificate()], issued.private_key())
            .expect("the key belongs to the certificate");

        let listener = server::listen().expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(accept(listener, acceptor, target.to_owned())).abort_handle();
        Self { address, ca_pem: issued.ca_pem, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root that its certificate comes from, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

/// A certificate, its key, and the root that vouches for it, each in PEM.
#[derive(Clone)]
pub struct IssuedCertificate {
    /// The root, which nobody but a test trusts.
    pub ca_pem: String,
    /// The certificate.
    pub cert_pem: String,
    /// The key of the certificate.
    pub key_pem: String,
}

impl IssuedCertificate {
    /// Issues a certificate for these host names under a new root.
    ///
    /// # Panics
    ///
    /// When a name cannot be in a certificate.
    pub fn new(names: &[&str]) -> Self {
        Self::issue(names, None)
    }

    /// Makes a certificate for these host names that is its own root and marked as one, as
    /// `openssl req -x509` does.
    ///
    /// # Panics
    ///
    /// When a name cannot be in a certificate.
    pub fn self_signed(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut certificate = CertificateParams::new(names).expect("these are names of hosts");
        certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = certificate.self_signed(&key).expect("a root signs itself");
        let pem = certificate.pem();
        Self { ca_pem: pem.clone(), cert_pem: pem, key_pem: key.serialize_pem() }
    }

    /// Issues a certificate that ends with this year where one is given.
    fn issue(names: &[&str], last_year: Option<i32>) -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().expect("a key can be made");
        let root = CertifiedIssuer::self_signed(root, root_key).expect("a root can be made");

        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key can be made");
        let mut certificate = CertificateParams::new(names).expect("these are names of hosts");
        if let Some(year) = last_year {
            certificate.not_after = date_time_ymd(year, 12, 31);
        }
        let certificate = certificate.signed_by(&key, &root).expect("the root can sign");
        Self { ca_pem: root.pem(), cert_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).expect("it was issued here")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("it was issued here")
    }
}

impl fmt::Debug for IssuedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IssuedCertificate").finish_non_exhaustive()
    }
}

/// Sends bytes over TLS to a server at `address`, and reads until `enough` bytes came or it closes. Gives the
/// protocol that was negotiated, of those offered, and what was read.
///
/// # Errors
///
/// When the server cannot be reached, or its certificate does not come from the root.
pub async fn exchange(
    address: SocketAddr,
    ca_pem: &str,
    protocols: &[&str],
    request: &[u8],
    enough: usize,
) -> io::Result<(Option<String>, Vec<u8>)> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?;
    roots.add(root).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();

    let socket = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let mut socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    let protocol =
        socket.get_ref().1.alpn_protocol().map(|it| String::from_utf8_lossy(it).into_owned());
    socket.write_all(request).await?;
    let mut read = vec![];
    while read.len() < enough && 0 < socket.read_buf(&mut read).await? {}
    Ok((protocol, read))
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for TlsFront {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsFront").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, target: String) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(pass_on(acceptor.clone(), socket, target.clone()));
    }
}

/// A client that trusts another root, or hangs up, is no failure of a test by itself.
async fn pass_on(acceptor: TlsAcceptor, socket: TcpStream, target: String) {
    let Ok(mut outside) = acceptor.accept(socket).await else { return };
    let Ok(mut inside) = TcpStream::connect(&target).await else { return };
    drop(copy_bidirectional(&mut outside, &mut inside).await);
}
