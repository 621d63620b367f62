use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use crate::config::{self, ClientTls, Trust, UpstreamTls};
pub use crate::database::NoTls;
use crate::database::{ALPN, binding, certificates, identity, provider, trusting};
use crate::wire::{Encryption, Upstream, UpstreamEncryption};

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
    let required = tls.trust != Trust::Prefer;
    Ok(UpstreamEncryption::new(Arc::new(trusting(tls)?), required, tls.direct))
}
