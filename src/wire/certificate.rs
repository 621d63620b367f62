//! The names in a client's certificate.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

use crate::session::CertificateField;

/// The names of a certificate that may stand for a tenant; none if it cannot be read.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<(CertificateField, String)> {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    let mut names: Vec<_> =
        common.map(|name| (CertificateField::CommonName, name.to_owned())).collect();
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative.iter().flat_map(|it| &it.value.general_names) {
        if let GeneralName::DNSName(name) = name {
            names.push((CertificateField::Dns, (*name).to_owned()));
        } else if let GeneralName::URI(name) = name {
            names.push((CertificateField::Uri, (*name).to_owned()));
        }
    }
    names
}
