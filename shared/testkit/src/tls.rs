//! TLS in front of a plain server on loopback, under certificates of a CA that only the tests trust.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

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
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().expect("a key can be made");
        let root = CertifiedIssuer::self_signed(root, root_key).expect("a root can be made");

        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = CertificateParams::new(names)
            .and_then(|it| it.signed_by(&key, &root))
            .expect("these are names of hosts");
        let private_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has these versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private_key)
            .expect("the key belongs to the certificate");

        let listener = server::listen().expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(accept(listener, acceptor, target.to_owned())).abort_handle();
        Self { address, ca_pem: root.pem(), accepting }
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
