//! Which flaws a schema has: a function of what was read.

mod columns;
mod indexes;
mod keys;
mod relations;
mod roles;

use super::finding::{Finding, Flaw};
use super::schema::{Schema, Table, TableKind};
use super::sql::{qualified, quote};
use crate::policy::{Guard, Tables};
use crate::tenant::TenantType;

/// What a schema is held against.
#[derive(Clone, Copy, Debug)]
pub struct Convention<'a> {
    /// Which tables are guarded, and by which columns.
    pub tables: &'a Tables,
    /// The type of the tenant column.
    pub tenant_type: TenantType,
    /// The setting that policies of row-level security take the tenant from.
    pub tenant_setting: &'a str,
    /// Routines that the configuration vouches for, in lower case, with or without schema.
    pub vouched: &'a [Box<str>],
    /// Roles that the application logs in as; those that are connected, if this is empty.
    pub roles: &'a [String],
}

/// Every flaw of a schema: by level, the worst first, then by object and flaw.
#[must_use]
pub fn inspect(schema: &Schema, convention: Convention<'_>) -> Vec<Finding> {
    let mut inspection = Inspection { schema, convention, findings: Vec::new() };
    for table in &schema.tables {
        inspection.table(table);
    }
    inspection.foreign_keys();
    inspection.views();
    inspection.routines();
    inspection.roles();
    let mut findings = inspection.findings;
    findings.sort_by(|one, other| {
        let key = |it: &Finding| (std::cmp::Reverse(it.flaw.level()), it.object.clone(), it.flaw);
        key(one).cmp(&key(other))
    });
    findings
}

struct Inspection<'a> {
    schema: &'a Schema,
    convention: Convention<'a>,
    findings: Vec<Finding>,
}

impl<'a> Inspection<'a> {
    fn find(&mut self, flaw: Flaw, object: String, part: Option<&str>, said: Said) {
        let Said { detail, help, fix } = said;
        let part = part.map(str::to_owned);
        self.findings.push(Finding { flaw, object, part, detail, help, fix });
    }

    fn guard(&self, table: &Table) -> Option<Guard<'a>> {
        self.convention.tables.guard(&table.name)
    }

    /// The column that holds the tenant.
    fn tenant(&self) -> &'a str {
        &self.convention.tables.tenant_column
    }

    /// What concerns one table alone.
    fn table(&mut self, table: &'a Table) {
        match self.guard(table) {
            // A partition has its columns and indexes of its parent.
            Some(guard) if !table.is_partition => {
                self.columns(table, guard);
                if table.column(self.tenant()).is_some() {
                    self.indexes(table);
                    self.row_security(table);
                }
            }
            Some(_) => {}
            None => self.unguarded(table),
        }
    }

    fn unguarded(&mut self, table: &Table) {
        let tenant = self.tenant();
        if table.column(tenant).is_none() {
            return;
        }
        let prefix = self.convention.tables.patterns.iter().find_map(|pattern| match pattern {
            crate::policy::Pattern::Prefix(prefix) => Some(prefix),
            crate::policy::Pattern::Exact(_) => None,
        });
        let fix = prefix.map(|prefix| {
            let new = quote(&format!("{prefix}{}", table.name));
            format!("ALTER TABLE {} RENAME TO {new};", name(table))
        });
        let said = Said {
            detail: format!("it has {tenant}, and no pattern of [guard] tables covers its name"),
            help: "rename it, or name it in a [[guard.table]] of the configuration".to_owned(),
            fix: fix.into_iter().collect(),
        };
        self.find(Flaw::UnguardedTenantTable, name(table), None, said);
    }

    /// Row-level security below the guard: in depth, so that what passes by the guard meets it.
    fn row_security(&mut self, table: &Table) {
        if table.kind == TableKind::Foreign
            || (table.row_security && table.forced && table.policies > 0)
        {
            return;
        }
        let (full, tenant) = (name(table), quote(self.tenant()));
        let cast = match self.convention.tenant_type {
            TenantType::Uuid => "::uuid",
            TenantType::Bigint => "::bigint",
            TenantType::Text => "",
        };
        let setting = self.convention.tenant_setting.replace('\'', "''");
        // Without the subquery the setting would be read for each row; `true` and nullif give NULL,
        // and no row, where it is not set.
        let bound =
            format!("{tenant} = (SELECT nullif(current_setting('{setting}', true), ''){cast})");
        let mut fix = vec![format!("ALTER TABLE {full} ENABLE ROW LEVEL SECURITY;")];
        if !table.forced {
            fix.push(format!("ALTER TABLE {full} FORCE ROW LEVEL SECURITY;"));
        }
        if table.policies == 0 {
            fix.push(format!(
                "CREATE POLICY orgguard_tenant ON {full}\n  USING ({bound})\n  WITH CHECK ({bound});"
            ));
        }
        let missing = match (table.row_security, table.policies) {
            (false, _) => "row-level security is not enabled",
            (true, 0) => "row-level security is enabled without a policy: it shows no row at all",
            (true, _) => "row-level security does not hold for the table's owner",
        };
        let said = Said {
            detail: missing.to_owned(),
            help: "put policies below the guard, for what does not pass through it".to_owned(),
            fix,
        };
        self.find(Flaw::MissingRls, full, None, said);
    }
}

/// What is said of a flaw.
struct Said {
    detail: String,
    help: String,
    fix: Vec<String>,
}

fn name(table: &Table) -> String {
    qualified(&table.schema, &table.name)
}
