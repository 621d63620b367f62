use super::name::Pattern;

/// Which relations are guarded, by the patterns of their names.
#[derive(Clone, Debug)]
pub struct Tables {
    /// `[guard] tables`.
    pub patterns: Vec<Pattern>,
    /// `[guard] tenant_column`.
    pub tenant_column: Box<str>,
    /// `[guard] soft_delete_column`; `None` if no table has one.
    pub soft_delete_column: Option<Box<str>>,
    /// `[guard] hard_delete`: whether DELETE may remove rows of guarded tables for good.
    pub hard_delete: bool,
    /// `[[guard.table]]`, by exact name; a table named here is guarded whatever the patterns say.
    pub overrides: Vec<TableOverride>,
    /// `[guard] cascades`: unguarded tables whose foreign keys may change guarded rows, in lower
    /// case.
    pub cascades: Vec<Box<str>>,
}

/// What one table does differently (`[[guard.table]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOverride {
    /// The table's name, in lower case.
    pub name: Box<str>,
    /// Whether it has the soft-delete column.
    pub soft_delete: bool,
    /// Columns of which one must be bound to a value; the tenant column if empty. An equality with
    /// a column that is not the tenant column proves with any constant or parameter.
    pub bound_by: Vec<Box<str>>,
    /// Whether DELETE may remove its rows for good; as for every table if not said.
    pub hard_delete: Option<bool>,
}

/// What a reference to one guarded table owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<'a> {
    /// The column that must equal the tenant.
    pub tenant_column: &'a str,
    /// The column that must be NULL, if the table has one.
    pub soft_delete_column: Option<&'a str>,
    /// Other columns of which one may be bound instead (an organization switcher's `user_id`).
    pub bound_by: &'a [Box<str>],
    /// Whether DELETE may remove its rows for good.
    pub hard_delete: bool,
}

impl Tables {
    /// What a reference to the relation of this (folded, cut, unqualified) name owes; `None` if
    /// the relation is not guarded. The schema makes no difference: a guarded name is guarded in
    /// every schema.
    #[must_use]
    pub fn guard(&self, name: &str) -> Option<Guard<'_>> {
        let special = self.overrides.iter().find(|table| table.name.eq_ignore_ascii_case(name));
        if special.is_none() && !self.patterns.iter().any(|pattern| pattern.covers(name)) {
            return None;
        }
        let soft_delete = special.is_none_or(|table| table.soft_delete);
        Some(Guard {
            tenant_column: &self.tenant_column,
            soft_delete_column: self.soft_delete_column.as_deref().filter(|_| soft_delete),
            bound_by: special.map_or(&[], |table| &table.bound_by),
            hard_delete: special.and_then(|table| table.hard_delete).unwrap_or(self.hard_delete),
        })
    }
}

/// Whether a relation of the catalogue shows values of every tenant: column statistics, or the
/// statements of other sessions.
#[must_use]
pub fn statistics_relation(name: &str) -> bool {
    // pg_statistic_ext only says which extended statistics exist; psql's \d reads it.
    (name.starts_with("pg_stat") && name != "pg_statistic_ext")
        || matches!(name, "pg_largeobject" | "pg_locks")
}
