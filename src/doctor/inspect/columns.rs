use super::{Inspection, Said, name};
use crate::doctor::finding::Flaw;
use crate::doctor::schema::{Column, Table};
use crate::doctor::sql::quote;
use crate::policy::Guard;
use crate::tenant::TenantType;

/// Set when a row is made and when it is changed, by the convention.
const TIMESTAMPS: [&str; 2] = ["created_at", "updated_at"];

const TIMESTAMPTZ: &str = "timestamp with time zone";

/// What new columns get instead of a type with its long name.
const NEW_TIMESTAMP: &str = "timestamptz NOT NULL DEFAULT now()";

impl Inspection<'_> {
    /// The columns that every guarded table has.
    pub(super) fn columns(&mut self, table: &Table, guard: Guard<'_>) {
        match table.column(self.tenant()) {
            None => self.no_tenant(table),
            Some(column) => self.tenant_column(table, column),
        }
        if let Some(column) = guard.soft_delete_column {
            self.soft_delete(table, column);
        }
        if !self.is_junction(table) {
            self.timestamps(table);
        }
    }

    /// A table that only links rows: its primary key is made of two foreign keys or more.
    fn is_junction(&self, table: &Table) -> bool {
        let Some(primary) = table.indexes.iter().find(|index| index.primary) else {
            return false;
        };
        let tenant = self.tenant();
        let linked = |column: &str| {
            let mut keys = self.schema.foreign_keys.iter();
            keys.any(|key| key.table == table.oid && key.columns.iter().any(|own| own == column))
        };
        let keys = primary.keys.iter().flatten().filter(|column| *column != tenant);
        keys.clone().count() >= 2 && keys.clone().all(|column| linked(column))
    }

    const fn tenant_type(&self) -> &'static str {
        match self.convention.tenant_type {
            TenantType::Uuid => "uuid",
            TenantType::Bigint => "bigint",
            TenantType::Text => "text",
        }
    }

    fn no_tenant(&mut self, table: &Table) {
        let (full, column) = (name(table), quote(self.tenant()));
        let set_not_null = format!("ALTER TABLE {full} ALTER COLUMN {column} SET NOT NULL;");
        let said = Said {
            detail: format!("it has no column {column}: every statement on it is refused"),
            help: format!("add {column}, give every row its organization, then set NOT NULL"),
            fix: vec![
                format!("ALTER TABLE {full} ADD COLUMN {column} {};", self.tenant_type()),
                format!("-- give every row its {column} here\n{set_not_null}"),
            ],
        };
        self.find(Flaw::MissingTenantColumn, full, None, said);
    }

    fn tenant_column(&mut self, table: &Table, column: &Column) {
        let (full, tenant) = (name(table), quote(&column.name));
        let wanted = self.tenant_type();
        let found = column.type_name.split('(').next().unwrap_or_default();
        let fits = match self.convention.tenant_type {
            TenantType::Uuid => found == "uuid",
            TenantType::Bigint => matches!(found, "bigint" | "integer" | "smallint"),
            TenantType::Text => matches!(found, "text" | "character varying"),
        };
        if !fits {
            let said = Said {
                detail: format!("{tenant} is {found}, and the configuration says {wanted}"),
                help: format!("make it {wanted}, or set [guard] tenant_type"),
                fix: vec![format!(
                    "ALTER TABLE {full} ALTER COLUMN {tenant} TYPE {wanted} USING {tenant}::text::{wanted};"
                )],
            };
            self.find(Flaw::MissingTenantColumn, full.clone(), Some(&column.name), said);
        }
        if !column.not_null {
            let said = Said {
                detail: format!("{tenant} may be NULL: such a row belongs to no organization"),
                help: "give such rows an organization or remove them, then set NOT NULL".to_owned(),
                fix: vec![format!("ALTER TABLE {full} ALTER COLUMN {tenant} SET NOT NULL;")],
            };
            self.find(Flaw::NullableTenant, full, Some(&column.name), said);
        }
    }

    fn soft_delete(&mut self, table: &Table, wanted: &str) {
        let (full, quoted) = (name(table), quote(wanted));
        let alter = |what: &str| format!("ALTER TABLE {full} ALTER COLUMN {quoted} {what};");
        let mut fix = Vec::new();
        let mut flaws = Vec::new();
        match table.column(wanted) {
            None => {
                flaws.push(format!("it has no column {quoted}: every statement on it is refused"));
                fix.push(format!("ALTER TABLE {full} ADD COLUMN {quoted} timestamptz;"));
            }
            Some(column) => {
                if column.type_name.split('(').next() != Some(TIMESTAMPTZ) {
                    flaws.push(format!("{quoted} is {}, not timestamptz", column.type_name));
                    if matches!(&*column.type_name, "date" | "timestamp without time zone") {
                        let kind = format!("TYPE timestamptz USING {quoted} AT TIME ZONE 'UTC'");
                        fix.push(format!("-- if its times are UTC\n{}", alter(&kind)));
                    }
                }
                if column.not_null {
                    flaws.push(format!("{quoted} is NOT NULL: no row is ever alive"));
                    fix.push(alter("DROP NOT NULL"));
                }
                if column.has_default {
                    flaws.push(format!("{quoted} has a default: new rows may be deleted at once"));
                    fix.push(alter("DROP DEFAULT"));
                }
            }
        }
        if flaws.is_empty() {
            return;
        }
        let help = "a table that is never soft-deleted has soft_delete = false in a \
             [[guard.table]] of the configuration instead";
        let said = Said { detail: flaws.join("; "), help: help.to_owned(), fix };
        let part = table.column(wanted).map(|column| &*column.name);
        self.find(Flaw::MissingSoftDelete, full, part, said);
    }

    fn timestamps(&mut self, table: &Table) {
        let full = name(table);
        let mut detail = Vec::new();
        let mut fix = Vec::new();
        for wanted in TIMESTAMPS {
            match table.column(wanted) {
                None => {
                    detail.push(format!("it has no column {wanted}"));
                    fix.push(format!("ALTER TABLE {full} ADD COLUMN {wanted} {NEW_TIMESTAMP};"));
                }
                Some(column) if column.type_name.split('(').next() == Some(TIMESTAMPTZ) => {}
                Some(Column { type_name, .. }) if type_name.starts_with("timestamp") => {
                    detail.push(format!("{wanted} has no time zone"));
                    fix.push(format!(
                        "-- if its times are UTC\nALTER TABLE {full} ALTER COLUMN {wanted} \
                         TYPE timestamptz USING {wanted} AT TIME ZONE 'UTC';"
                    ));
                }
                Some(column) => {
                    detail.push(format!("{wanted} is {}, not timestamptz", column.type_name));
                }
            }
        }
        if detail.is_empty() {
            return;
        }
        let help = "every table says when its rows were made and changed".to_owned();
        let said = Said { detail: detail.join("; "), help, fix };
        self.find(Flaw::MissingTimestamps, full, None, said);
    }
}
