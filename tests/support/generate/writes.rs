//! Writes that are bound, or with one flaw.

use super::labelled::Item;
use super::{A, B, Generator, TABLES};

impl Generator {
    fn target(&mut self) -> Item {
        let alias = self.alias();
        let (table, keys, text) = *self.pick(TABLES);
        self.item(format!("{table} AS {alias}"), alias, keys, text)
    }

    pub(super) fn bound_update(&mut self) -> String {
        self.note("UPDATE");
        let target = self.target();
        let value = if self.is_flawed() {
            self.note("flaw: another tenant is set");
            format!("organization_id = '{B}'")
        } else {
            match self.below(5) {
                0 => {
                    self.note("the tenant is set");
                    format!("organization_id = '{A}'")
                }
                1 => {
                    self.note("soft delete");
                    "deleted_at = '2031-01-01'".to_owned()
                }
                2 => {
                    self.note("SET a bound subquery");
                    let inner = self.bound_query(0, &[]);
                    format!(
                        "{} = (SELECT coalesce(max(q.txt), 'none') FROM ({inner}) q)",
                        target.text
                    )
                }
                _ => format!("{} = 'changed'", target.text),
            }
        };
        let (from, mut filters, bound) = self.beside(&target, "FROM");
        filters.push(self.bind(&target, &bound).both());
        let filter = filters.join(" AND ");
        let returning = self.returning(&target);
        format!("UPDATE {} SET {value}{from} WHERE {filter}{returning}", target.sql)
    }

    pub(super) fn bound_delete(&mut self) -> String {
        self.note("DELETE");
        let alias = self.alias();
        // Nothing refers to a note.
        let target = self.item(format!("org_notes AS {alias}"), alias, &["id"], "body");
        let (using, mut filters, bound) = self.beside(&target, "USING");
        filters.push(self.bind(&target, &bound).both());
        let filter = filters.join(" AND ");
        let returning = self.returning(&target);
        format!("DELETE FROM {}{using} WHERE {filter}{returning}", target.sql)
    }

    /// FROM or USING of a write, bound.
    fn beside(&mut self, target: &Item, keyword: &str) -> (String, Vec<String>, Vec<Item>) {
        if self.chance(50) {
            return (String::new(), Vec::new(), Vec::new());
        }
        self.note(if keyword == "FROM" { "UPDATE FROM" } else { "DELETE USING" });
        let item = self.any_item(1, &[]);
        let mut filters = vec![self.joined(&item, std::slice::from_ref(target))];
        if item.open {
            filters.push(self.bind(&item, &[]).both());
        }
        (format!(" {keyword} {}", item.sql), filters, vec![item])
    }

    fn returning(&mut self, target: &Item) -> String {
        match self.below(4) {
            0 => {
                self.note("RETURNING");
                format!(" RETURNING {}", target.column("id"))
            }
            1 => {
                self.note("RETURNING a bound subquery");
                let inner = self.bound_query(0, &[]);
                format!(" RETURNING {}, (SELECT count(*) FROM ({inner}) q)", target.column("id"))
            }
            _ => String::new(),
        }
    }

    pub(super) fn bound_insert(&mut self) -> String {
        let columns = "INSERT INTO org_notes (id, organization_id, body)";
        if self.chance(40) {
            self.note("INSERT VALUES");
            let row = |org: &str| format!("(gen_random_uuid(), '{org}', 'made')");
            let mut rows = vec![row(A)];
            if self.is_flawed() {
                self.note("flaw: a row of another tenant");
                rows.push(row(B));
            }
            if self.chance(30) {
                rows.push(row(A));
            }
            return format!("{columns} VALUES {} RETURNING organization_id, body", rows.join(", "));
        }
        self.note("INSERT SELECT");
        let tenant =
            if self.chance(50) { "s.organization_id".to_owned() } else { format!("'{A}'") };
        // The organization of a row may be NULL where it comes from a nullable side.
        let inner = self.bound_query(1, &[]);
        format!(
            "{columns} SELECT gen_random_uuid(), {tenant}, coalesce(s.txt, 'none') FROM ({inner}) s \
             WHERE s.organization_id IS NOT NULL RETURNING organization_id, body"
        )
    }

    pub(super) fn bound_upsert(&mut self) -> String {
        self.note("upsert");
        let sku = *self.pick(&["P-1", "P-3", "P-7", "P-99"]);
        let insert = format!(
            "INSERT INTO org_products AS t (id, organization_id, sku, name) \
             VALUES ('a1000000-0000-4000-8000-00000000007{}', '{A}', '{sku}', 'upserted')",
            self.below(3)
        );
        match self.below(4) {
            0 => {
                self.note("DO NOTHING");
                format!("{insert} ON CONFLICT DO NOTHING")
            }
            1 => {
                self.note("arbiter with the tenant");
                let live = if self.is_flawed() {
                    self.note("flaw: no deleted_at");
                    "true"
                } else {
                    "t.deleted_at IS NULL"
                };
                format!(
                    "{insert} ON CONFLICT (organization_id, sku) DO UPDATE SET name = excluded.name WHERE {live}"
                )
            }
            _ => {
                self.note("arbiter without the tenant");
                let key = *self.pick(&[
                    "a1000000-0000-4000-8000-000000000001",
                    "b1000000-0000-4000-8000-000000000001",
                    "a1000000-0000-4000-8000-000000000009",
                ]);
                let bound = if self.is_flawed() {
                    self.note("flaw: the new row is bound, not the old one");
                    "excluded.organization_id = excluded.organization_id".to_owned()
                } else if self.chance(50) {
                    "t.organization_id = excluded.organization_id".to_owned()
                } else {
                    format!("t.organization_id = '{A}'")
                };
                format!(
                    "INSERT INTO org_products AS t (id, organization_id, sku, name) \
                     VALUES ('{key}', '{A}', 'P-98', 'upserted') \
                     ON CONFLICT (id) DO UPDATE SET name = 'again' WHERE {bound} AND t.deleted_at IS NULL"
                )
            }
        }
    }

    pub(super) fn bound_merge(&mut self, all: bool) -> String {
        self.note("MERGE");
        let t = "t".to_owned();
        let target = self.item("org_notes AS t".to_owned(), t, &["id"], "body");
        let source = self.bound_query(1, &[]);
        let on = self.bind(&target, &[]).both();
        let mut clauses = Vec::new();
        match self.below(4) {
            0 => clauses.push("WHEN MATCHED THEN DELETE".to_owned()),
            1 => clauses
                .push("WHEN MATCHED AND s.txt <> 'x' THEN UPDATE SET body = 'merged'".to_owned()),
            2 => clauses.push("WHEN MATCHED THEN DO NOTHING".to_owned()),
            _ => clauses
                .push("WHEN MATCHED THEN UPDATE SET body = coalesce(s.txt, 'none')".to_owned()),
        }
        if self.chance(50) {
            self.note("MERGE INSERT");
            let org = if self.is_flawed() {
                self.note("flaw: a row of another tenant");
                B
            } else {
                A
            };
            clauses.push(format!(
                "WHEN NOT MATCHED THEN INSERT (id, organization_id, body) VALUES (gen_random_uuid(), '{org}', 'new')"
            ));
        }
        if all && self.chance(40) {
            self.note("NOT MATCHED BY SOURCE");
            let condition = self.bind(&target, &[]).both();
            clauses.push(format!(
                "WHEN NOT MATCHED BY SOURCE AND {condition} THEN UPDATE SET body = 'left'"
            ));
        }
        // A target row may be matched once.
        format!(
            "MERGE INTO {} USING (SELECT q.id, max(q.txt) AS txt FROM ({source}) q GROUP BY q.id) s \
             ON t.id = s.id AND {on} {}",
            target.sql,
            clauses.join(" ")
        )
    }

    pub(super) fn bound_write_in_with(&mut self) -> String {
        self.note("write in WITH");
        let write = match self.below(3) {
            0 => {
                let target =
                    self.item("org_notes".to_owned(), "org_notes".to_owned(), &["id"], "body");
                let filter = self.bind(&target, &[]).both();
                format!(
                    "DELETE FROM org_notes WHERE {filter} RETURNING organization_id AS o, id AS k"
                )
            }
            1 => {
                let target =
                    self.item("org_tags".to_owned(), "org_tags".to_owned(), &["id"], "label");
                let filter = self.bind(&target, &[]).both();
                format!(
                    "UPDATE org_tags SET updated_at = '2030-01-01' WHERE {filter} RETURNING organization_id AS o, id AS k"
                )
            }
            _ => format!(
                "INSERT INTO org_tags (id, organization_id, label) \
                 VALUES ('a6000000-0000-4000-8000-0000000000aa', '{A}', 'made') RETURNING organization_id AS o, id AS k"
            ),
        };
        let item = self.open_item();
        let filter = self.bind(&item, &[]).both();
        format!(
            "WITH w AS ({write}) SELECT w.k, {} FROM w CROSS JOIN {} WHERE {filter}",
            item.column(&item.text),
            item.sql
        )
    }
}
