//! Where a session's tenant comes from, beside its setting.

use super::tenant::Setting;
use crate::policy::cut_name;
use crate::tenant::{Tenant, TenantType};

/// One source of a session's tenant (`[tenant] sources`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// The setting.
    Setting,
    /// The database role of the startup packet.
    Role(Names),
    /// The database of the startup packet.
    Database(Names),
    /// A name in the client's certificate, which has been verified.
    Certificate(CertificateField, Capture),
    /// An sqlcommenter comment of the statement. It never takes the place of another source's value.
    Comment,
}

/// Names that stand for tenants: each one by itself, or by a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Names with their tenants.
    pub map: Vec<(Box<str>, Tenant)>,
    /// The pattern for all other names.
    pub pattern: Option<Capture>,
}

/// A pattern with the tenant in it: `before{tenant}after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    before: Box<str>,
    after: Box<str>,
}

/// What part of a certificate names the tenant (RFC 5280, 4.1.2.6 and 4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateField {
    /// The common name of the subject.
    CommonName,
    /// A DNS name of the subject alternative names.
    Dns,
    /// A URI of the subject alternative names.
    Uri,
}

/// What is known of a client before its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// The role of the startup packet.
    pub role: &'a str,
    /// Its database.
    pub database: &'a str,
    /// The names in the client's certificate.
    pub certificate: Vec<(CertificateField, String)>,
}

impl Capture {
    /// Reads a pattern; `None` if `{tenant}` does not stand in it exactly once.
    #[must_use]
    pub fn parse(pattern: &str) -> Option<Self> {
        let (before, after) = pattern.split_once("{tenant}")?;
        (!after.contains("{tenant}")).then(|| Self { before: before.into(), after: after.into() })
    }

    fn of<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&*self.before)?.strip_suffix(&*self.after)
    }
}

impl Names {
    /// The tenant of a name, which the server cuts at 63 bytes; `None` if it stands for none.
    fn of(&self, name: &str, tenant_type: TenantType) -> Option<Setting> {
        let name = cut_name(name);
        if let Some((_, tenant)) = self.map.iter().find(|(own, _)| **own == *name) {
            return Some(Setting::Known(tenant.clone()));
        }
        Some(read(self.pattern.as_ref()?.of(name)?, tenant_type))
    }
}

/// A name that has the form of a tenant's is no other source's business, whatever stands in it.
pub(super) fn read(text: &str, tenant_type: TenantType) -> Setting {
    let setting = Setting::read(text, tenant_type);
    if setting == Setting::Unset { Setting::Unknown } else { setting }
}

impl TenantSource {
    /// What this source says of a client; `None` if nothing, or nothing before its session.
    fn of(&self, client: &Client<'_>, tenant_type: TenantType) -> Option<Setting> {
        match self {
            Self::Setting | Self::Comment => None,
            Self::Role(names) => names.of(client.role, tenant_type),
            Self::Database(names) => names.of(client.database, tenant_type),
            Self::Certificate(field, pattern) => {
                let names = client.certificate.iter().filter(|(own, _)| own == field);
                let mut found = names.filter_map(|(_, name)| pattern.of(name));
                let first = read(found.next()?, tenant_type);
                let same = found.all(|other| read(other, tenant_type) == first);
                Some(if same { first } else { Setting::Unknown })
            }
        }
    }
}

/// What the sources say of a client: before the setting is asked, and where it says nothing.
pub(super) fn around_setting(
    sources: &[TenantSource],
    client: &Client<'_>,
    tenant_type: TenantType,
) -> (Option<Setting>, Option<Setting>) {
    let at = sources.iter().position(|source| *source == TenantSource::Setting);
    let (before, after) = at.and_then(|at| sources.split_at_checked(at)).unwrap_or((sources, &[]));
    let first =
        |sources: &[TenantSource]| sources.iter().find_map(|source| source.of(client, tenant_type));
    (first(before), first(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(number: i64) -> Setting {
        Setting::Known(Tenant::Bigint(number))
    }

    fn capture(pattern: &str) -> Capture {
        Capture::parse(pattern).unwrap()
    }

    #[test]
    fn patterns_have_one_capture() {
        assert_eq!(capture("app_{tenant}_rw").of("app_7_rw"), Some("7"));
        assert_eq!(capture("{tenant}").of("7"), Some("7"));
        assert_eq!(capture("aa{tenant}aa").of("aaa"), None);
        for none in ["app", "app_*", "{tenant}{tenant}", "{Tenant}"] {
            assert_eq!(Capture::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_first_source_with_a_value_wins() {
        let names = |map: &[(&str, i64)], pattern: Option<&str>| Names {
            map: map.iter().map(|(name, it)| ((*name).into(), Tenant::Bigint(*it))).collect(),
            pattern: pattern.map(capture),
        };
        let role = TenantSource::Role(names(&[("alpha", 1)], Some("app_{tenant}")));
        let database = TenantSource::Database(names(&[], Some("shop_{tenant}")));
        let sources = [role, TenantSource::Setting, database];
        let of = |role: &str, database: &str| {
            let client = Client { role, database, certificate: Vec::new() };
            around_setting(&sources, &client, TenantType::Bigint)
        };
        assert_eq!(of("alpha", "shop_2"), (Some(known(1)), Some(known(2))));
        assert_eq!(of("app_3", "shop"), (Some(known(3)), None));
        assert_eq!(of("beta", "shop_2"), (None, Some(known(2))));
        // The form of a tenant's name without a tenant in it is an error, not nothing.
        assert_eq!(of("app_x", "shop_"), (Some(Setting::Unknown), Some(Setting::Unknown)));
        // The server cuts names at 63 bytes.
        let long = format!("app_7{}", "0".repeat(58));
        assert_eq!(of(&format!("{long}1"), "").0, of(&long, "").0);
    }

    #[test]
    fn a_certificate_names_one_tenant() {
        let source = TenantSource::Certificate(CertificateField::Dns, capture("{tenant}.org.test"));
        let of = |names: &[(CertificateField, &str)]| {
            let certificate = names.iter().map(|(field, name)| (*field, (*name).to_owned()));
            let client = Client { certificate: certificate.collect(), ..Client::default() };
            source.of(&client, TenantType::Bigint)
        };
        use CertificateField as F;
        assert_eq!(of(&[(F::Dns, "7.org.test"), (F::Dns, "web.test")]), Some(known(7)));
        assert_eq!(of(&[(F::Dns, "7.org.test"), (F::Dns, "8.org.test")]), Some(Setting::Unknown));
        assert_eq!(of(&[(F::CommonName, "7.org.test")]), None);
    }
}
