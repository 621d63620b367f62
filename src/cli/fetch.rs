use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The largest answer of an admin port that is read, in bytes.
const ANSWER_BYTES: u64 = 256 << 20;

/// The bearer token of the admin port (`admin_token_file`), which no command line shows.
const TOKEN: &str = "ORGGUARD_ADMIN_TOKEN";

/// A PEM file with the certificates that an admin port with TLS is verified by.
const AUTHORITIES: &str = "ORGGUARD_ADMIN_CA";

/// Whether a source is an address and no file.
pub(super) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// What the admin port of a guard says under this path, where the address names none itself.
pub(super) fn fetch(url: &str, path: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err("the admin port speaks HTTP: write http:// or https://".to_owned());
    };
    let whole = match rest.split_once('/') {
        None => format!("{url}{path}"),
        Some((_, "")) => format!("{}{path}", url.trim_end_matches('/')),
        Some(_) => url.to_owned(),
    };
    let mut config = ureq::Agent::config_builder();
    if url.starts_with("https://") {
        config = config.tls_config(trust()?);
    }
    let mut request = ureq::Agent::from(config.build()).get(&whole);
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header("Authorization", format!("Bearer {}", token.trim()));
    }
    let mut answer = request.call().map_err(|error| {
        if matches!(error, ureq::Error::StatusCode(401)) {
            format!("it wants a token: set {TOKEN}")
        } else {
            error.to_string()
        }
    })?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES);
    body.read_to_string().map_err(|error| error.to_string())
}

fn trust() -> Result<TlsConfig, String> {
    let Some(file) = std::env::var_os(AUTHORITIES) else {
        return Err(format!(
            "by which certificates is it verified? Set {AUTHORITIES} to a PEM file"
        ));
    };
    let unread = |error| format!("{}: {error}", Path::new(&file).display());
    let certificates: Vec<Certificate<'static>> = CertificateDer::pem_file_iter(&file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unread)?
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}
