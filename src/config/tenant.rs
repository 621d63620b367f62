use super::guard::{column, lower};
use super::problem::Place;
use super::section::{Located, Section};
use crate::policy::NAME_BYTES;
use crate::session::{
    Capture, CertificateField, Names, Rebinding, TenantRules, TenantSource, UnknownTenant,
};
use crate::tenant::TenantType;

const SETTING: &str = "app.organization_id";
const COMMENT: &str = "organization_id";

/// `[tenant]`, and what of it the analysis has to know.
pub(super) struct Tenancy {
    pub(super) rules: TenantRules,
    /// Routines that set the tenant.
    pub(super) setters: Vec<Box<str>>,
    /// The key of the comment that names a statement's tenant.
    pub(super) comment: Option<Box<str>>,
}

/// `[tenant]`: how a session learns its tenant. `has_client_ca` tells whether clients'
/// certificates are verified.
pub(super) fn convert_tenant(
    mut tenant: Section<'_, '_>,
    tenant_type: TenantType,
    has_client_ca: bool,
) -> Option<Tenancy> {
    let words = tenant.list("sources");
    let place = words.as_ref().map_or(Place::File, |words| words.place);
    let words: Vec<Located<String>> = words.map_or_else(
        || vec![Located { value: "setting".to_owned(), place: Place::File }],
        |words| words.value,
    );
    let has = |word: &str| words.iter().any(|own| own.value == word);
    let setting = convert_setting(&mut tenant);
    let setters = tenant.list("setters");
    if let Some(setters) = setters.as_ref().filter(|it| !it.value.is_empty() && !has("setting")) {
        tenant.report(setters.place, r#"`setters` set the setting, and it is no source"#);
    }
    let role = convert_names(&mut tenant, "role_pattern", "roles", tenant_type, has("role"));
    let database =
        convert_names(&mut tenant, "database_pattern", "databases", tenant_type, has("database"));
    let certificate = convert_certificate(&mut tenant, has("certificate"));
    if has("certificate") && !has_client_ca {
        let message = "the source \"certificate\" needs `client_ca` in [client_tls]: without it no \
                       certificate is asked for or verified";
        tenant.report(place, message);
    }
    let key = tenant.name("comment_key");
    if let Some(key) = key.as_ref().filter(|_| !has("comment")) {
        tenant.report(key.place, unused("comment_key", "comment"));
    }
    let (rebinding, unknown) = convert_binding(&mut tenant, has("none"));
    let sources = convert_sources(&tenant, &words, place, |word| match word {
        "setting" => Some(TenantSource::Setting),
        "role" => role.clone().map(TenantSource::Role),
        "database" => database.clone().map(TenantSource::Database),
        "certificate" => {
            certificate.clone().map(|(field, it)| TenantSource::Certificate(field, it))
        }
        "comment" => Some(TenantSource::Comment),
        _ => None,
    });
    tenant.finish();
    let comment =
        has("comment").then(|| key.map_or_else(|| COMMENT.into(), |key| key.value.into()));
    let setting = has("setting").then(|| column(setting, SETTING));
    let rules = TenantRules { sources: sources?, setting, rebinding, unknown };
    Some(Tenancy { rules, setters: lower(setters), comment })
}

/// The sources in their order; `None` if there is a problem with one of them.
fn convert_sources(
    tenant: &Section<'_, '_>,
    words: &[Located<String>],
    place: Place,
    source: impl Fn(&str) -> Option<TenantSource>,
) -> Option<Vec<TenantSource>> {
    const KNOWN: [&str; 6] = ["setting", "role", "database", "certificate", "comment", "none"];
    let mut sound = true;
    for (at, word) in words.iter().enumerate() {
        let earlier = words.iter().take(at).any(|other| other.value == word.value);
        let message = if !KNOWN.contains(&&*word.value) {
            let known: Vec<_> = KNOWN.iter().map(|known| format!("{known:?}")).collect();
            format!("`sources` must be of {}, not {:?}", known.join(", "), word.value)
        } else if earlier {
            format!("`sources` holds {:?} twice", word.value)
        } else if word.value == "none" && words.len() > 1 {
            "\"none\" stands alone in `sources`".to_owned()
        } else if word.value == "comment" && at.checked_add(1) != Some(words.len()) {
            "\"comment\" must be the last of `sources`: it takes the place of no other".to_owned()
        } else {
            continue;
        };
        tenant.report(word.place, message);
        sound = false;
    }
    if words.is_empty() {
        tenant.report(place, r#"`sources` is empty: write ["none"] if sessions have no tenant"#);
        sound = false;
    }
    let given = words.iter().filter(|word| word.value != "none");
    let sources: Option<Vec<_>> = given.map(|word| source(&word.value)).collect();
    sources.filter(|_| sound)
}

fn convert_setting(tenant: &mut Section<'_, '_>) -> Option<Located<String>> {
    let setting = tenant.name("setting")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if !setting.value.contains('.') || !setting.value.chars().all(plain) {
        let message = "`setting` must be a custom setting: letters, digits, underscores, and a \
                       point in its name";
        tenant.report(setting.place, message);
    }
    Some(setting)
}

/// A pattern and a table of names for one source; empty, and reported, if there is neither.
fn convert_names(
    tenant: &mut Section<'_, '_>,
    pattern_key: &'static str,
    map_key: &'static str,
    tenant_type: TenantType,
    wanted: bool,
) -> Option<Names> {
    let source = map_key.trim_end_matches('s');
    let pattern = tenant.name(pattern_key);
    let mut sound = true;
    let capture = pattern.as_ref().and_then(|pattern| {
        let capture = Capture::parse(&pattern.value);
        if capture.is_none() {
            sound = false;
            tenant.report(pattern.place, no_capture(pattern_key));
        }
        capture
    });
    let mut map = Vec::new();
    for (name, value) in tenant.texts(map_key) {
        if name.len() > NAME_BYTES {
            sound = false;
            tenant.report(value.place, format!("{name:?} is longer than PostgreSQL's names"));
        }
        match tenant_type.parse(&value.value).filter(|_| !value.value.is_empty()) {
            Some(own) => map.push((name.into(), own)),
            None => {
                sound = false;
                let kind = tenant_type.sql_name();
                tenant.report(value.place, format!("the tenant of {name:?} is no {kind}"));
            }
        }
    }
    let empty = pattern.is_none() && map.is_empty();
    if wanted && empty && sound {
        let message = format!(
            "the source {source:?} needs `{pattern_key}` or [tenant.{map_key}]: which names stand \
             for which tenants"
        );
        tenant.report(Place::File, message);
        sound = false;
    }
    if !wanted && !empty {
        let place = pattern.as_ref().map_or(Place::File, |pattern| pattern.place);
        tenant.report(place, unused(pattern_key, source));
    }
    sound.then_some(Names { map, pattern: capture })
}

/// `CN={tenant}`, `DNS={tenant}.example.org` or `URI=…{tenant}…`.
fn convert_certificate(
    tenant: &mut Section<'_, '_>,
    wanted: bool,
) -> Option<(CertificateField, Capture)> {
    let Some(pattern) = tenant.name("certificate_pattern") else {
        if wanted {
            let message = "the source \"certificate\" needs `certificate_pattern`";
            tenant.report(Place::File, message);
        }
        return None;
    };
    if !wanted {
        tenant.report(pattern.place, unused("certificate_pattern", "certificate"));
    }
    let fields = [
        ("CN=", CertificateField::CommonName),
        ("DNS=", CertificateField::Dns),
        ("URI=", CertificateField::Uri),
    ];
    let found = fields
        .into_iter()
        .find_map(|(word, field)| Some((field, pattern.value.strip_prefix(word)?)));
    let Some((field, rest)) = found else {
        let message = "`certificate_pattern` must begin with CN=, DNS= or URI=";
        tenant.report(pattern.place, message);
        return None;
    };
    let capture = Capture::parse(rest);
    if capture.is_none() {
        tenant.report(pattern.place, no_capture("certificate_pattern"));
    }
    Some((field, capture?))
}

fn no_capture(key: &str) -> String {
    format!("`{key}` must have {{tenant}} in it once, where the tenant stands")
}

fn unused(key: &str, source: &str) -> String {
    format!("`{key}` is given, and {source:?} is not among `sources`")
}

fn convert_binding(tenant: &mut Section<'_, '_>, none: bool) -> (Rebinding, UnknownTenant) {
    let rebinding = tenant.text("rebinding");
    let unknown = tenant.text("unknown");
    let chosen_rebinding = rebinding.as_ref().and_then(|text| {
        let words = [
            ("never", Rebinding::Never),
            ("transaction", Rebinding::Transaction),
            ("free", Rebinding::Free),
        ];
        tenant.choose("rebinding", text, &words)
    });
    let chosen_unknown = unknown.as_ref().and_then(|text| {
        let words = [("structural", UnknownTenant::Structural), ("refuse", UnknownTenant::Refuse)];
        tenant.choose("unknown", text, &words)
    });
    if none {
        if let (Some(text), Some(Rebinding::Never | Rebinding::Transaction)) =
            (&rebinding, chosen_rebinding)
        {
            let message =
                r#"`rebinding` other than "free" needs a tenant source, and sources is ["none"]"#;
            tenant.report(text.place, message);
        }
        if let (Some(text), Some(UnknownTenant::Refuse)) = (&unknown, chosen_unknown) {
            let message = r#"unknown = "refuse" with sources = ["none"] would refuse every guarded statement"#;
            tenant.report(text.place, message);
        }
    }
    (
        chosen_rebinding.unwrap_or(Rebinding::Free),
        chosen_unknown.unwrap_or(UnknownTenant::Structural),
    )
}
