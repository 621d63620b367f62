use super::{Inspection, Said, name};
use crate::doctor::finding::Flaw;
use crate::doctor::schema::{Index, Table, TableKind};
use crate::doctor::sql::{insert_first, qualified, quote};

impl Inspection<'_> {
    /// Indexes of a guarded table that has the tenant column.
    pub(super) fn indexes(&mut self, table: &Table) {
        if table.kind == TableKind::Foreign {
            return;
        }
        let tenant = self.tenant();
        // A column that an index adds to a primary key makes it no more unique.
        let primary = table.indexes.iter().find(|index| index.primary);
        for index in &table.indexes {
            let exclusion = index.constraint.as_ref().is_some_and(|it| it.starts_with("EXCLUDE"));
            if index.primary || !(index.unique || exclusion) {
                continue;
            }
            let covers_primary = primary.is_some_and(|primary| {
                primary.keys.iter().all(|key| key.is_some() && index.keys.contains(key))
            });
            if covers_primary {
                continue;
            }
            if self.is_one_row(table, index) {
                self.one_row(table, index);
            } else if !index.keys.iter().flatten().any(|key| key == tenant) {
                self.unique_without_tenant(table, index, exclusion);
            }
        }
        if !table.indexes.iter().any(|index| self.serves_tenant(table, index)) {
            self.no_index(table);
        }
    }

    /// Whether a query for one tenant's live rows may use the index.
    fn serves_tenant(&self, table: &Table, index: &Index) -> bool {
        let first = index.keys.first().and_then(Option::as_deref);
        index.valid
            && first == Some(self.tenant())
            && matches!(&*index.method, "btree" | "hash")
            && self.covers_live_rows(table, index)
    }

    /// Whether the index leaves out no row but deleted ones.
    fn covers_live_rows(&self, table: &Table, index: &Index) -> bool {
        let Some(predicate) = &index.predicate else {
            return true;
        };
        let soft_delete = self.guard(table).and_then(|guard| guard.soft_delete_column);
        soft_delete.is_some_and(|column| {
            // `pg_get_expr` writes it so, or quotes the name.
            *predicate == format!("({column} IS NULL)")
                || *predicate == format!("({} IS NULL)", quote(column))
        })
    }

    /// Unique over the tenant, the soft-delete column, or both, and nothing else.
    fn is_one_row(&self, table: &Table, index: &Index) -> bool {
        let soft_delete = self.convention.tables.soft_delete_column.as_deref();
        index.unique
            && self.covers_live_rows(table, index)
            && index.keys.iter().all(|key| {
                key.as_deref().is_some_and(|key| key == self.tenant() || Some(key) == soft_delete)
            })
    }

    fn one_row(&mut self, table: &Table, index: &Index) {
        let (full, tenant) = (name(table), self.tenant());
        let mut fix = vec![drop(table, index)];
        let others = |it: &&Index| it.name != index.name && self.serves_tenant(table, it);
        let leads = index.keys.first().and_then(Option::as_deref) == Some(tenant);
        if leads && !table.indexes.iter().any(|it| others(&it)) {
            fix.push(create_index(table, tenant));
        }
        let keys: Vec<_> = index.keys.iter().flatten().map(|key| quote(key)).collect();
        let detail = if index.keys.iter().flatten().any(|key| key == tenant) {
            format!("unique on ({}): each organization may have one row", keys.join(", "))
        } else {
            format!("unique on ({}): two rows cannot be deleted at one time", keys.join(", "))
        };
        let help = "make it a plain index; if one row for each organization is meant, make it the \
             primary key, or allow it";
        let said = Said { detail, help: help.to_owned(), fix };
        self.find(Flaw::OneRowPerTenant, full, Some(&index.name), said);
    }

    fn unique_without_tenant(&mut self, table: &Table, index: &Index, exclusion: bool) {
        let (full, tenant) = (name(table), quote(self.tenant()));
        let mut fix = Vec::new();
        if let Some(constraint) = &index.constraint {
            let first =
                if exclusion { format!("{tenant} WITH =, ") } else { format!("{tenant}, ") };
            if exclusion {
                fix.push("CREATE EXTENSION IF NOT EXISTS btree_gist;".to_owned());
            }
            let add = insert_first(constraint, &first).map(|definition| {
                let constraint = quote(&index.name);
                format!("ALTER TABLE {full} ADD CONSTRAINT {constraint} {definition};")
            });
            fix.push(drop(table, index));
            fix.extend(add);
        } else if let Some(definition) = insert_first(&index.definition, &format!("{tenant}, ")) {
            fix.push(drop(table, index));
            fix.push(format!("{definition};"));
        }
        let detail = "it covers the rows of all organizations: one learns from an error that \
             another has such a row, and cannot have it itself";
        let said = Said {
            detail: detail.to_owned(),
            help: format!("put {tenant} first; allow it if the value is a secret of its own"),
            fix,
        };
        self.find(Flaw::UniqueWithoutTenant, full, Some(&index.name), said);
    }

    fn no_index(&mut self, table: &Table) {
        let tenant = self.tenant();
        // Another flaw's fix makes one already.
        let unique = |index: &Index| {
            index.unique
                && !index.primary
                && self.is_one_row(table, index)
                && index.keys.first().and_then(Option::as_deref) == Some(tenant)
        };
        if table.indexes.iter().any(unique) {
            return;
        }
        let said = Said {
            detail: format!("no index starts with {}", quote(tenant)),
            help: "every statement looks for one organization's rows".to_owned(),
            fix: vec![create_index(table, tenant)],
        };
        self.find(Flaw::NoTenantIndex, name(table), None, said);
    }
}

/// An index on the column, made without keeping writers waiting where the server can do that.
fn create_index(table: &Table, column: &str) -> String {
    let concurrently = match table.kind {
        TableKind::Plain => "CONCURRENTLY ",
        TableKind::Partitioned | TableKind::Foreign => "",
    };
    format!("CREATE INDEX {concurrently}ON {} ({});", name(table), quote(column))
}

fn drop(table: &Table, index: &Index) -> String {
    match &index.constraint {
        Some(_) => format!("ALTER TABLE {} DROP CONSTRAINT {};", name(table), quote(&index.name)),
        None => format!("DROP INDEX {};", qualified(&table.schema, &index.name)),
    }
}
