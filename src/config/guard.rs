use super::problem::Place;
use super::section::{Located, Section};
use crate::policy::{NAME_BYTES, Pattern, ReadingLimits, TableOverride, Tables};
use crate::session::MaskErrors;

/// `hard_delete`: whether DELETE may remove rows for good.
const HARD_DELETE: &[(&str, bool)] = &[("allow", true), ("refuse", false)];

/// `[guard]`: which tables, and by which columns.
pub(super) fn convert_tables(guard: &mut Section<'_, '_>) -> Option<Tables> {
    let mut sound = true;
    let mut patterns = Vec::new();
    let names = guard.list("tables");
    let names_place = names.as_ref().map_or(Place::File, |names| names.place);
    let default = || vec![Located { value: "org_*".to_owned(), place: Place::File }];
    for name in names.map_or_else(default, |names| names.value) {
        match Pattern::parse(&name.value) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let message = format!(
                    "{:?} is no table pattern: write a name, or a prefix with `*` at its end",
                    name.value
                );
                guard.report(name.place, message);
                sound = false;
            }
        }
    }
    let tenant_column = column(guard.name("tenant_column"), "organization_id");
    let soft_delete = guard.name_or_false("soft_delete_column");
    let soft_delete_place = soft_delete.as_ref().map_or(Place::File, |column| column.place);
    let soft_delete_column = match soft_delete {
        None => Some("deleted_at".into()),
        Some(Located { value, .. }) => value.map(|name| name.to_lowercase().into_boxed_str()),
    };
    if soft_delete_column.as_ref() == Some(&tenant_column) {
        let message = "`soft_delete_column` and `tenant_column` must be different columns";
        guard.report(soft_delete_place, message);
    }
    let hard_delete = guard.choice("hard_delete", HARD_DELETE).unwrap_or(true);
    let cascades = lower(guard.list("cascades"));
    let overrides = convert_overrides(guard);
    if sound && patterns.is_empty() && overrides.is_empty() {
        guard.report(names_place, "nothing is guarded: `tables` is empty");
    }
    sound.then_some(Tables {
        patterns,
        tenant_column,
        soft_delete_column,
        hard_delete,
        overrides,
        cascades,
    })
}

/// How much of the server's errors a client is shown.
pub(super) fn convert_mask(guard: &mut Section<'_, '_>) -> MaskErrors {
    let words = [
        ("constraint", MaskErrors::Constraint),
        ("all", MaskErrors::All),
        ("off", MaskErrors::Off),
    ];
    guard.choice("mask_errors", &words).unwrap_or_default()
}

pub(super) fn column(name: Option<Located<String>>, default: &str) -> Box<str> {
    name.map_or_else(|| default.into(), |name| name.value.to_lowercase().into())
}

fn convert_overrides(guard: &mut Section<'_, '_>) -> Vec<TableOverride> {
    let mut overrides: Vec<TableOverride> = Vec::new();
    for Located { value: mut table, place } in guard.sections("table") {
        let written = table.has("name");
        let name = table.name("name");
        let soft_delete = table.flag("soft_delete").unwrap_or(true);
        let hard_delete = table.choice("hard_delete", HARD_DELETE);
        let bound_by = table.list("bound_by");
        if let Some(bound_by) = &bound_by
            && bound_by.value.is_empty()
        {
            table.report(bound_by.place, "`bound_by` is empty: leave it out, or name columns");
        }
        let bound_by = lower(bound_by);
        match name {
            None if !written => table.report(place, "`name` is missing in [[guard.table]]"),
            None => {}
            Some(name) => {
                let lower: Box<str> = name.value.to_lowercase().into();
                if lower.contains(['*', '.']) || lower.len() > NAME_BYTES {
                    table.report(
                        name.place,
                        "`name` must be one table's name, without schema and without `*`",
                    );
                } else if overrides.iter().any(|other| other.name == lower) {
                    table.report(name.place, format!("{lower:?} has two [[guard.table]]"));
                }
                overrides.push(TableOverride { name: lower, soft_delete, bound_by, hard_delete });
            }
        }
        table.finish();
    }
    overrides
}

pub(super) fn lower(list: Option<Located<Vec<Located<String>>>>) -> Vec<Box<str>> {
    let list = list.map(|list| list.value).unwrap_or_default();
    list.into_iter().map(|name| name.value.to_lowercase().into_boxed_str()).collect()
}

/// Upper bounds keep what the parser builds within `analyze::READER_STACK`.
pub(super) fn convert_reading(mut reading: Section<'_, '_>) -> ReadingLimits {
    let standard = ReadingLimits::default();
    let limits = ReadingLimits {
        bytes: reading.number("bytes", 1..=16 << 20).unwrap_or(standard.bytes),
        tokens: reading.number("tokens", 1..=4_000_000).unwrap_or(standard.tokens),
        operators: reading.number("operators", 1..=2_000).unwrap_or(standard.operators),
        nesting: reading.number("nesting", 1..=125).unwrap_or(standard.nesting),
        set_operations: reading
            .number("set_operations", 1..=200)
            .unwrap_or(standard.set_operations),
        comment_nesting: reading
            .number("comment_nesting", 1..=100)
            .unwrap_or(standard.comment_nesting),
        copy_row_bytes: reading
            .number("copy_row_bytes", 1_024..=1 << 30)
            .unwrap_or(standard.copy_row_bytes),
    };
    reading.finish();
    limits
}
