use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use x509_parser::oid_registry::{
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};

use crate::config::{self, ClientTls, Trust, UpstreamTls};
use crate::wire::{ALPN, Encryption, Upstream, UpstreamEncryption};

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

/// Certificate and key of the guard towards clients.
pub(super) fn load(tls: &ClientTls) -> Result<Encryption, NoTls> {
    let (chain, key) = identity(&tls.certificate, &tls.key)?;
    let binding = chain.first().map(binding).unwrap_or_default();
    let builder = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(clients(file, tls)?),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Encryption::new(Arc::new(config), tls.required, binding))
}

/// Certificate and key of the admin port, which speaks HTTP/1.1.
pub(super) fn pages(certificate: &Path, key: &Path) -> Result<rustls::ServerConfig, NoTls> {
    let (chain, key) = identity(certificate, key)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What verifies clients' certificates.
fn clients(file: &Path, tls: &ClientTls) -> Result<Arc<dyn ClientCertVerifier>, NoTls> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder =
        if tls.client_certificate_required { builder } else { builder.allow_unauthenticated() };
    let unusable = |error: VerifierBuilderError| rustls::Error::General(error.to_string());
    Ok(builder.build().map_err(unusable)?)
}

/// The hash of a certificate by the function of its own signature; SHA-256 where that one is MD5 or
/// SHA-1, or is not known (RFC 5929, 4.1).
fn binding(certificate: &CertificateDer<'_>) -> Arc<[u8]> {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    let signed = parsed.map(|(_, certificate)| certificate.signature_algorithm.algorithm);
    let algorithm = match signed {
        Ok(oid) if oid == OID_PKCS1_SHA384WITHRSA || oid == OID_SIG_ECDSA_WITH_SHA384 => {
            &digest::SHA384
        }
        Ok(oid) if oid == OID_PKCS1_SHA512WITHRSA || oid == OID_SIG_ECDSA_WITH_SHA512 => {
            &digest::SHA512
        }
        Ok(_) | Err(_) => &digest::SHA256,
    };
    digest::digest(algorithm, certificate).as_ref().into()
}

/// The servers, with TLS if the configuration has it.
pub(super) fn upstream(
    upstream: &config::Upstream,
    connect_timeout: Duration,
) -> Result<Upstream, NoTls> {
    let encryption = upstream.tls.as_ref().map(towards_server).transpose()?;
    let endpoints = Arc::clone(&upstream.endpoints);
    Ok(Upstream::new(endpoints, encryption, &upstream.target, connect_timeout))
}

fn towards_server(tls: &UpstreamTls) -> Result<UpstreamEncryption, NoTls> {
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
    let required = tls.trust != Trust::Prefer;
    Ok(UpstreamEncryption::new(Arc::new(config), required, tls.direct))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, NoTls> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(file, &error))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(certificate: &Path, key: &Path) -> Result<Identity, NoTls> {
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
