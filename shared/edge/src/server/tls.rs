//! HTTPS: the certificate of the server, read again when its files change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use config::Tls;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most: only a new connection asks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The versions of HTTP that are offered, best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// What a client has chosen of these when it uses HTTP/2.
pub(super) const HTTP2_PROTOCOL: &[u8] = PROTOCOLS[0];

/// An acceptor of TLS connections under the certificate of these PEM files.
pub(super) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?;
    let certificate = Arc::new(Certificate::load(cert, key)?);
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A certificate and where it comes from.
#[derive(Debug)]
struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Seen>,
}

/// The state of the files when they were last looked at.
#[derive(Debug)]
struct Seen {
    at: Instant,
    modified: [Option<SystemTime>; 2],
}

impl Certificate {
    fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        let seen = Seen { at: Instant::now(), modified: modified(cert, key) };
        let current = ArcSwap::from_pointee(read(cert, key)?);
        let (cert, key) = (cert.to_owned(), key.to_owned());
        Ok(Self { cert, key, current, seen: Mutex::new(seen) })
    }

    /// Reads the files again if they have changed. Until both belong together, the certificate
    /// stays.
    fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Every handshake comes by here, and each look is two system calls.
        if seen.at.elapsed() < CHECK_INTERVAL {
            return;
        }
        seen.at = Instant::now();
        let modified = modified(&self.cert, &self.key);
        if modified == seen.modified {
            return;
        }
        // Noted even if reading fails: a broken pair is reported once, and again only when a file
        // changes.
        seen.modified = modified;

        match read(&self.cert, &self.key) {
            Ok(certificate) => {
                self.current.store(Arc::new(certificate));
                tracing::info!("the certificate was read again");
            }
            Err(error) => {
                tracing::warn!(%error, "failed to read the certificate again; kept the last one");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.refresh();
        Some(self.current.load_full())
    }
}

fn modified(cert: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [cert, key].map(|path| std::fs::metadata(path).and_then(|it| it.modified()).ok())
}

/// Reads a chain of certificates and its key.
fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, String> {
    pair(cert, key, read_chain(cert)?, read_key(key)?)
}

/// What is wrong with the files of a certificate, each with the key of `tls` that names the file.
pub(super) fn errors(tls: &Tls) -> Vec<(&'static str, String)> {
    let (cert, key) = (Path::new(&tls.cert), Path::new(&tls.key));
    let mut errors = vec![];
    match (read_chain(cert), read_key(key)) {
        (Ok(chain), Ok(secret)) => {
            errors.extend(pair(cert, key, chain, secret).err().map(|error| ("key", error)));
        }
        (chain, secret) => {
            errors.extend(chain.err().map(|error| ("cert", error)));
            errors.extend(secret.err().map(|error| ("key", error)));
        }
    }
    errors
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(format!("{}: holds no certificate in PEM", path.display()))
        }
        chain => chain.map_err(|error| unreadable(path, &error)),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            format!("{}: holds no key in PEM (one with a passphrase is none)", path.display())
        }
        error => unreadable(path, &error),
    })
}

fn unreadable(path: &Path, error: &pem::Error) -> String {
    format!("{}: cannot be read: {error}", path.display())
}

fn pair(
    cert: &Path,
    key: &Path,
    chain: Vec<CertificateDer<'static>>,
    secret: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, secret, &ring::default_provider()).map_err(|error| {
        format!("{} does not belong to {}: {error}", key.display(), cert.display())
    })
}
