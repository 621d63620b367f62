//! Certificates and keys, and how much is asked of a server's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::oid_registry::{
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};

use crate::config::{Trust, UpstreamTls};

/// The name of PostgreSQL's protocol in TLS (ALPN).
pub const ALPN: &[u8] = b"postgresql";

/// Certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// A file cannot be read as PEM.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not serve.
    #[error("certificate and key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS towards a server, by what is asked of it.
///
/// # Errors
/// If a file that it names cannot be used.
pub fn trusting(tls: &UpstreamTls) -> Result<rustls::ClientConfig, NoTls> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &tls.ca {
        for certificate in certificates(file)? {
            roots.add(certificate)?;
        }
    }
    let verifier = Verifier::new(tls.trust, roots)?;
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, key) = identity(certificate, key)?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The hash of a certificate by the function of its own signature; SHA-256 where that one is MD5 or
/// SHA-1 (RFC 5929, 4.1), or is not known.
#[must_use]
pub fn binding(certificate: &CertificateDer<'_>) -> Arc<[u8]> {
    let function = hash_function(certificate).unwrap_or(&digest::SHA256);
    digest::digest(function, certificate).as_ref().into()
}

/// The same where it is defined: not of a signature without a hash function, such as Ed25519.
pub(super) fn defined_binding(certificate: &CertificateDer<'_>) -> Option<Arc<[u8]>> {
    let function = hash_function(certificate)?;
    Some(digest::digest(function, certificate).as_ref().into())
}

fn hash_function(certificate: &CertificateDer<'_>) -> Option<&'static digest::Algorithm> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let signed = parsed.signature_algorithm.algorithm;
    let known = [
        (OID_PKCS1_MD5WITHRSAENC, &digest::SHA256),
        (OID_PKCS1_SHA1WITHRSA, &digest::SHA256),
        (OID_PKCS1_SHA256WITHRSA, &digest::SHA256),
        (OID_SIG_ECDSA_WITH_SHA256, &digest::SHA256),
        (OID_PKCS1_SHA384WITHRSA, &digest::SHA384),
        (OID_SIG_ECDSA_WITH_SHA384, &digest::SHA384),
        (OID_PKCS1_SHA512WITHRSA, &digest::SHA512),
        (OID_SIG_ECDSA_WITH_SHA512, &digest::SHA512),
    ];
    known.into_iter().find(|(oid, _)| *oid == signed).map(|(_, function)| function)
}

/// The cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file.
///
/// # Errors
/// If it cannot be read.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, NoTls> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(file, &error))
}

/// A certificate chain and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate chain and its key, of PEM files.
///
/// # Errors
/// If one of them cannot be read.
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, NoTls> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, &error))?;
    Ok((chain, key))
}

fn unread(file: &Path, error: &rustls_pki_types::pem::Error) -> NoTls {
    NoTls::File { file: file.to_owned(), reason: error.to_string() }
}

/// Holds a server's certificate against what the configuration asks.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// `None` where nothing is asked of the certificate.
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(trust: Trust, roots: RootCertStore) -> Result<Self, NoTls> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        // As libpq: a root file that is there is used by "require" too (documentation, 34.19.1).
        let chain = if roots.is_empty() {
            None
        } else {
            let roots = Arc::new(roots);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            Some(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
        };
        Ok(Self { trust, chain, algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return match self.trust {
                Trust::Prefer | Trust::Require => Ok(ServerCertVerified::assertion()),
                Trust::VerifyCa | Trust::VerifyFull => Err(CertificateError::UnknownIssuer.into()),
            };
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is asked for by verify-full alone; the chain was verified before it.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust != Trust::VerifyFull => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
