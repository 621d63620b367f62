//! The case files: plain SQL with directives, one case a statement (or a whole string).
#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};

use orgguard::analyze::{
    Argument, Arguments, Effect, Form, NewValue, Plan, SessionTenant, Verdict,
};
use orgguard::policy::{
    EvaluationOrder, Pattern, Policy, ReadingLimits, Routines, SecondReading, Settings,
    TableOverride, Tables,
};
use orgguard::tenant::{Tenant, TenantType};

/// The session's tenant in every case, unless the case says that it is unknown.
pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) file: PathBuf,
    /// The line of `--@ case:`, 1-based.
    pub(crate) line: usize,
    pub(crate) name: String,
    /// The line of `--@ verdict:`, 1-based, and what it says.
    pub(crate) verdict: (usize, String),
    pub(crate) binds: Vec<(Vec<Option<String>>, String)>,
    pub(crate) unknown_tenant: bool,
    /// Several statements as one string.
    pub(crate) string: bool,
    /// Judged under `evaluation_order = "refuse"`.
    pub(crate) strict: bool,
    /// The same, and rewritten with fences.
    pub(crate) fence: bool,
    pub(crate) note: Option<String>,
    /// What is sent in rewrite mode, with `{A}` for the tenant; or `refuse`.
    pub(crate) rewrite: Option<String>,
    pub(crate) sql: String,
}

/// Every case of every file under `tests/cases`.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .filter(|path| {
            !matches!(path.file_stem().and_then(|stem| stem.to_str()), Some("schema" | "rls"))
        })
        .collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut pending_unknown = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let Some(directive) = line.strip_prefix("--@ ") else {
            match cases.last_mut() {
                Some(case) => {
                    case.sql.push_str(line);
                    case.sql.push('\n');
                }
                None => assert!(
                    line.is_empty() || line.starts_with("--"),
                    "{}:{number}: text before the first case",
                    file.display()
                ),
            }
            continue;
        };
        let (key, value) =
            directive.split_once(':').map_or((directive, ""), |(key, value)| (key, value.trim()));
        if key.trim() == "case" {
            cases.push(Case {
                file: file.to_owned(),
                line: number,
                name: value.to_owned(),
                verdict: (0, String::new()),
                binds: Vec::new(),
                unknown_tenant: std::mem::take(&mut pending_unknown),
                string: false,
                strict: false,
                fence: false,
                note: None,
                rewrite: None,
                sql: String::new(),
            });
            continue;
        }
        if key.trim() == "session" {
            assert_eq!(value, "unknown", "{}:{number}", file.display());
            match cases.last_mut() {
                Some(case) if case.sql.trim().is_empty() => case.unknown_tenant = true,
                _ => pending_unknown = true,
            }
            continue;
        }
        let case = cases
            .last_mut()
            .unwrap_or_else(|| panic!("{}:{number}: a directive before a case", file.display()));
        match key.trim() {
            "verdict" => case.verdict = (number, value.to_owned()),
            "bind" => case.binds.extend(value.split(" | ").map(bind)),
            "string" => case.string = true,
            "strict" => case.strict = true,
            "fence" => case.fence = true,
            "note" => case.note = Some(value.to_owned()),
            "rewrite" => case.rewrite = Some(value.to_owned()),
            other => panic!("{}:{number}: unknown directive {other}", file.display()),
        }
    }
    for case in &mut cases {
        case.sql = statement_text(&case.sql);
        assert!(case.verdict.0 > 0, "{}:{}: no verdict", case.file.display(), case.line);
    }
    cases
}

/// Without the empty lines and plain comments between this case and the next.
fn statement_text(sql: &str) -> String {
    sql.trim().trim_end_matches(';').to_owned()
}

fn bind(alternative: &str) -> (Vec<Option<String>>, String) {
    let (values, verdict) =
        alternative.split_once(" -> ").unwrap_or_else(|| panic!("bind without ->: {alternative}"));
    // `{a,b}` is one array: only a comma with a space behind it separates values.
    let values = values
        .split(", ")
        .map(|value| (value.trim() != "NULL").then(|| value.trim().to_owned()))
        .collect();
    (values, verdict.trim().to_owned())
}

/// The policy that a case speaks of.
pub(crate) fn policy(case: &Case) -> Policy {
    let strict = case.strict || case.fence;
    let evaluation_order = if strict { EvaluationOrder::Refuse } else { EvaluationOrder::Ignore };
    Policy { evaluation_order, fences: case.fence, ..standard_policy() }
}

/// Both readings where the binary has both.
pub(crate) const fn standard_reading() -> SecondReading {
    if orgguard::sql::HAS_SECOND_READING { SecondReading::Required } else { SecondReading::Off }
}

/// The policy of the case schema.
pub(crate) fn standard_policy() -> Policy {
    Policy {
        tables: Tables {
            cascades: Vec::new(),
            patterns: vec![Pattern::parse("org_*").unwrap()],
            tenant_column: "organization_id".into(),
            soft_delete_column: Some("deleted_at".into()),
            hard_delete: true,
            overrides: [
                ("org_product_tags", false, None),
                ("org_settings", false, None),
                ("org_members", true, Some(false)),
            ]
            .into_iter()
            .map(|(name, soft_delete, hard_delete)| TableOverride {
                name: name.into(),
                soft_delete,
                bound_by: Vec::new(),
                hard_delete,
            })
            .collect(),
        },
        tenant_type: TenantType::Uuid,
        tenant_setting: Some("app.organization_id".into()),
        tenant_setters: Vec::new(),
        tenant_comment: None,
        copy_from: false,
        settings: Settings {
            allowed: Vec::new(),
            search_path: vec!["public".into(), "$user".into()],
            pooled: false,
        },
        routines: Routines::default(),
        limits: ReadingLimits::default(),
        second_reading: standard_reading(),
        catalog: None,
        overlay: std::sync::Arc::default(),
        evaluation_order: EvaluationOrder::Ignore,
        soft_deletes: false,
        fences: false,
    }
}

/// A verdict in the words of the case files.
pub(crate) fn words(verdicts: &[Verdict]) -> String {
    let names = |rules: &mut dyn Iterator<Item = &'static str>| {
        let mut names: Vec<&str> = rules.collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let violations = names(&mut verdicts.iter().flat_map(|v| &v.violations).map(|v| v.rule.name()));
    if !violations.is_empty() {
        return format!("refuse {violations}");
    }
    let advice = names(&mut verdicts.iter().flat_map(|v| &v.advice).map(|v| v.rule.name()));
    if advice.is_empty() { "admit".to_owned() } else { format!("admit advice {advice}") }
}

/// What the guard says of a case, with these values bound or none.
pub(crate) fn judge(case: &Case, plan: &Plan, values: Option<&[Option<String>]>) -> String {
    let tenant = TenantType::Uuid.parse(TENANT).unwrap();
    let arguments: Vec<Argument<'_>> = values
        .unwrap_or_default()
        .iter()
        .map(|value| Argument {
            type_oid: 0,
            form: value.as_ref().map_or(Form::Null, |text| Form::Text(text.as_bytes())),
        })
        .collect();
    let arguments =
        if values.is_some() { Arguments::Values(&arguments) } else { Arguments::Unknown };
    let session =
        if case.unknown_tenant { SessionTenant::Any } else { SessionTenant::Known(&tenant) };
    let mut verdicts = Vec::new();
    let mut prepared = Vec::new();
    for statement in plan.statements() {
        verdicts.push(statement.settle(session, arguments));
        if let Effect::Prepare { name, types: _, statement } = statement.effect() {
            verdicts.push(statement.settle(session, Arguments::Unknown));
            prepared.push((name, statement));
        }
        if let Effect::Execute { name, arguments, explained: _ } = statement.effect() {
            let values: Vec<Argument<'_>> = arguments
                .iter()
                .map(|value| Argument {
                    type_oid: 0,
                    form: match value {
                        NewValue::Null => Form::Null,
                        NewValue::Text(text) => Form::Text(text.as_bytes()),
                        NewValue::Parameter(_) | NewValue::Unknown => Form::Unknown,
                    },
                })
                .collect();
            for (_, statement) in prepared.iter().filter(|(known, _)| *known == name) {
                verdicts.push(statement.settle(session, Arguments::Values(&values)));
            }
        }
    }
    words(&verdicts)
}

/// The rules of a verdict in a fixed order, so that their order in a file does not matter.
pub(crate) fn normal(verdict: &str) -> String {
    match verdict.strip_prefix("refuse ") {
        None => verdict.to_owned(),
        Some(rules) => {
            let mut rules: Vec<&str> = rules.split(',').map(str::trim).collect();
            rules.sort_unstable();
            format!("refuse {}", rules.join(", "))
        }
    }
}

/// The tenant of the cases.
pub(crate) fn tenant() -> Tenant {
    TenantType::Uuid.parse(TENANT).unwrap()
}
