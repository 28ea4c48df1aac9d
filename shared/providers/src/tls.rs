//! TLS as every connection of this crate has it: rustls with ring, and roots that are in the binary.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
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
    // The provider is named because rustls has no default one when more than one could be built in.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?;
    let mut config = match ca_file {
        None => builder.with_root_certificates(roots),
        Some(path) => {
            let given = add_roots(&mut roots, path)?;
            let verifier = PinningVerifier::new(roots, given, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    }
    .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    Ok(config)
}

/// Whether a `ca_file` can be used. The error is for operators, and names the file.
pub fn check_ca_file(path: &str) -> Result<(), String> {
    add_roots(&mut RootCertStore::empty(), path).map(drop)
}

/// Adds the certificates of a file to the roots, and gives them.
fn add_roots(
    roots: &mut RootCertStore,
    path: &str,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = CertificateDer::pem_file_iter(path);
    let certificates: Vec<_> = file
        .and_then(Iterator::collect)
        .map_err(|error| format!("{path} cannot be read: {error}"))?;
    // Bundles of companies hold certificates that rustls cannot read; one good root is enough.
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(format!("{path} holds no root certificate in PEM"));
    }
    Ok(certificates)
}

/// Verifies certificates as rustls does, and takes a server's own that an operator has given for what
/// it is.
///
/// `openssl req -x509` makes a certificate that is its own authority and marks it as one, which a
/// server's may not be.
#[derive(Debug)]
struct PinningVerifier {
    web_pki: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl PinningVerifier {
    fn new(
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let web_pki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let web_pki =
            web_pki.build().map_err(|error| format!("TLS could not be set up: {error}"))?;
        Ok(Self { web_pki, given })
    }
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.web_pki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // The mark is looked at behind the dates and before the name, so that the name is left to
        // verify; that the server has the key is verified with its signature, in any case.
        match verified {
            Err(error) if is_marked_as_authority(&error) && self.given.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web_pki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web_pki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web_pki.supported_verify_schemes()
    }
}

/// Whether the only flaw of a server's certificate is its mark as an authority.
fn is_marked_as_authority(error: &rustls::Error) -> bool {
    // rustls has no word of its own for the flaw, and passes that of webpki on.
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(flaw))
        if flaw.0.to_string() == "CaUsedAsEndEntity")
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
