use super::guard::{column, lower};
use super::section::Section;
use crate::session::{Rebinding, TenantRules, UnknownTenant};

const SETTING: &str = "app.organization_id";

/// `[tenant]`: how a session learns its tenant.
///
/// With it, the routines that set the tenant, which the analysis has to know.
pub(super) fn convert_tenant(mut tenant: Section<'_, '_>) -> (Option<TenantRules>, Vec<Box<str>>) {
    let setters = lower(tenant.list("setters"));
    (convert_rules(tenant), setters)
}

fn convert_rules(mut tenant: Section<'_, '_>) -> Option<TenantRules> {
    let sources = tenant.list("sources");
    let words: Option<Vec<&str>> =
        sources.as_ref().map(|s| s.value.iter().map(|word| &*word.value).collect());
    let from_setting = match words.as_deref() {
        None | Some(["setting"]) => Some(true),
        Some(["none"]) => Some(false),
        Some(_) => {
            if let Some(sources) = &sources {
                let message =
                    r#"`sources` must be ["setting"] or ["none"]: other sources come later"#;
                tenant.report(sources.place, message);
            }
            None
        }
    };
    let setting = tenant.name("setting");
    if let Some(setting) = &setting
        && !setting.value.contains('.')
    {
        let message = "`setting` must be a custom setting, with a point in its name";
        tenant.report(setting.place, message);
    }
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
    if from_setting == Some(false) {
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
    tenant.finish();
    let setting = column(setting, SETTING);
    Some(TenantRules {
        setting: from_setting?.then_some(setting),
        rebinding: chosen_rebinding.unwrap_or(Rebinding::Free),
        unknown: chosen_unknown.unwrap_or(UnknownTenant::Structural),
    })
}
