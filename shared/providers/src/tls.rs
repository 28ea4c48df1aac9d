//! TLS as every connection of this crate has it: rustls with ring, and roots that are in the binary.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Settings that trust the public roots, and those of a PEM file where one is given.
///
/// `protocols` are the versions of HTTP to offer (ALPN), best first. The error is for operators: a
/// path is nothing that clients should read.
pub(crate) fn client_config(
    ca_file: Option<&str>,
    protocols: &[&str],
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        add_roots(&mut roots, path)?;
    }

    // The provider is named because rustls has no default one when more than one could be built in.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    Ok(config)
}

/// Whether a `ca_file` can be used. The error is for operators, and names the file.
pub fn check_ca_file(path: &str) -> Result<(), String> {
    add_roots(&mut RootCertStore::empty(), path)
}

fn add_roots(roots: &mut RootCertStore, path: &str) -> Result<(), String> {
    let file = CertificateDer::pem_file_iter(path);
    let certificates: Vec<_> = file
        .and_then(Iterator::collect)
        .map_err(|error| format!("{path} cannot be read: {error}"))?;
    // Bundles of companies hold certificates that rustls cannot read; one good root is enough.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err(format!("{path} holds no root certificate in PEM")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let missing = client_config(Some("/nowhere/ca.pem"), &[]).unwrap_err();
        assert!(missing.starts_with("/nowhere/ca.pem cannot be read: "), "{missing}");
        let empty = std::env::temp_dir().join(format!("lockgate-no-ca-{}", std::process::id()));
        std::fs::write(&empty, "not a certificate\n").unwrap();
        let path = empty.to_str().unwrap();
        let refused = client_config(Some(path), &[]).unwrap_err();
        std::fs::remove_file(&empty).unwrap();
        assert_eq!(refused, format!("{path} holds no root certificate in PEM"));
    }
}
