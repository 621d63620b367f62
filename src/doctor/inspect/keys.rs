use std::collections::HashMap;

use super::{Inspection, Said, name};
use crate::doctor::finding::Flaw;
use crate::doctor::schema::{ForeignKey, Table};
use crate::doctor::sql::{columns, foreign_key_actions, quote};

/// The first version that takes columns behind ON DELETE SET NULL.
const SET_NULL_COLUMNS: u32 = 150_000;

impl<'a> Inspection<'a> {
    /// Foreign keys of all tables.
    pub(super) fn foreign_keys(&mut self) {
        let schema = self.schema;
        for key in &schema.foreign_keys {
            let (Some(table), Some(target)) = (schema.table(key.table), schema.table(key.target))
            else {
                continue;
            };
            self.foreign_key(key, table, target);
        }
        self.references();
    }

    fn foreign_key(&mut self, key: &ForeignKey, table: &Table, target: &Table) {
        let tenant = self.tenant();
        if self.guard(target).is_none() || target.column(tenant).is_none() {
            return;
        }
        if table.column(tenant).is_none() {
            if self.guard(table).is_none() {
                self.unguarded_child(key, table, target);
            }
            return;
        }
        let pairs = key.columns.iter().zip(&key.target_columns);
        let carries = pairs.clone().any(|(own, theirs)| own == tenant && theirs == tenant);
        // Who points at the tenant of a row points at all rows of that tenant.
        if carries || pairs.clone().any(|(own, _)| own == tenant) {
            return;
        }
        let said = Said {
            detail: format!("a row may point at another organization's row in {}", name(target)),
            help: format!("carry {} in the key on both sides", quote(tenant)),
            fix: self.composite(key, table, target).unwrap_or_default(),
        };
        self.find(Flaw::CrossingForeignKey, name(table), Some(&key.name), said);
    }

    /// The key with the tenant in front, and the unique constraint that it points at.
    fn composite(&self, key: &ForeignKey, table: &Table, target: &Table) -> Option<Vec<String>> {
        let tenant = self.tenant();
        let actions = foreign_key_actions(&key.definition)?.replace(" MATCH FULL", "");
        // The tenant itself must not become NULL.
        let actions = if actions.contains("ON DELETE SET NULL")
            && !actions.contains("ON DELETE SET NULL (")
            || actions.contains("ON DELETE SET DEFAULT")
                && !actions.contains("ON DELETE SET DEFAULT (")
        {
            if self.schema.server_version < SET_NULL_COLUMNS {
                return None;
            }
            let own = columns(&key.columns);
            actions
                .replace("ON DELETE SET NULL", &format!("ON DELETE SET NULL ({own})"))
                .replace("ON DELETE SET DEFAULT", &format!("ON DELETE SET DEFAULT ({own})"))
        } else {
            actions
        };
        if actions.contains("ON UPDATE SET") {
            return None;
        }
        let with_tenant = |names: &[String]| {
            let mut all = vec![tenant.to_owned()];
            all.extend(names.iter().filter(|name| *name != tenant).cloned());
            all
        };
        let (own, theirs) = (with_tenant(&key.columns), with_tenant(&key.target_columns));
        if own.len() != theirs.len() {
            return None;
        }
        let mut fix = Vec::new();
        let is_there = target.indexes.iter().any(|index| {
            index.unique
                && index.predicate.is_none()
                && index.keys.len() == theirs.len()
                && theirs.iter().all(|name| index.keys.contains(&Some(name.clone())))
        });
        if !is_there {
            fix.push(format!("ALTER TABLE {} ADD UNIQUE ({});", name(target), columns(&theirs)));
        }
        let (full, constraint) = (name(table), quote(&key.name));
        fix.push(format!("ALTER TABLE {full} DROP CONSTRAINT {constraint};"));
        fix.push(format!(
            "ALTER TABLE {full} ADD CONSTRAINT {constraint} FOREIGN KEY ({})\n  REFERENCES {} ({}){actions};",
            columns(&own),
            name(target),
            columns(&theirs),
        ));
        Some(fix)
    }

    fn unguarded_child(&mut self, key: &ForeignKey, table: &Table, target: &Table) {
        let tenant = quote(self.tenant());
        let said = Said {
            detail: format!(
                "its rows belong to rows of {}, and it has no {tenant}: nothing guards them",
                name(target)
            ),
            help: format!("give it {tenant} and a guarded name, or remove the key"),
            fix: Vec::new(),
        };
        self.find(Flaw::UnguardedChild, name(table), Some(&key.name), said);
    }

    /// Guarded tables whose tenant column refers to no tenant.
    fn references(&mut self) {
        let tenant = self.tenant();
        let Some(tenants) = self.tenants() else {
            return;
        };
        let schema = self.schema;
        let id = tenants.indexes.iter().find(|index| index.primary && index.keys.len() == 1);
        let id = id.and_then(|index| index.keys.first().cloned().flatten());
        for table in &schema.tables {
            let guarded = self.guard(table).is_some();
            if !guarded || table.is_partition || table.column(tenant).is_none() {
                continue;
            }
            let refers = schema
                .foreign_keys
                .iter()
                .any(|key| key.table == table.oid && key.columns.iter().any(|own| own == tenant));
            if refers {
                continue;
            }
            let fix = id.as_ref().map(|id| {
                format!(
                    "ALTER TABLE {} ADD FOREIGN KEY ({})\n  REFERENCES {} ({}) ON DELETE CASCADE;",
                    name(table),
                    quote(tenant),
                    name(tenants),
                    quote(id),
                )
            });
            let said = Said {
                detail: format!("{} refers to no row of {}", quote(tenant), name(tenants)),
                help: "without the key a row may name an organization that does not exist"
                    .to_owned(),
                fix: fix.into_iter().collect(),
            };
            self.find(Flaw::MissingTenantReference, name(table), Some(tenant), said);
        }
    }

    /// The table of tenants: the one that most tenant columns refer to, else one that is called
    /// so (`organization_id`: `organizations`).
    fn tenants(&self) -> Option<&'a Table> {
        let tenant = self.tenant();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for key in &self.schema.foreign_keys {
            let guarded = self.schema.table(key.table).is_some_and(|it| self.guard(it).is_some());
            if guarded && key.columns == [tenant] {
                let count = counts.entry(key.target).or_default();
                *count = count.saturating_add(1);
            }
        }
        let most = counts.into_iter().max_by_key(|(oid, count)| (*count, std::cmp::Reverse(*oid)));
        most.and_then(|(oid, _)| self.schema.table(oid)).or_else(|| {
            let called = format!("{}s", tenant.strip_suffix("_id")?);
            self.schema.tables.iter().find(|table| table.name == called)
        })
    }
}
