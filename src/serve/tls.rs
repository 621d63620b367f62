use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::ClientTls;
use crate::wire::Encryption;

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

/// Loads certificate and key.
pub(super) fn load(tls: &ClientTls) -> Result<Encryption, NoTls> {
    let unread = |file: &Path| {
        let file = file.to_owned();
        move |error: rustls_pki_types::pem::Error| NoTls::File { file, reason: error.to_string() }
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unread(&tls.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(unread(&tls.key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Encryption::new(Arc::new(config), tls.required))
}
