//! Statements most of whose references are almost bound: joins of every kind, derived tables, CTEs,
//! subqueries, set operations and writes.

use super::{A, B, Generator, TABLES};

/// A relation in scope.
#[derive(Clone)]
struct Relation {
    alias: String,
    /// Columns that may be compared with one another.
    keys: Vec<String>,
    text: Option<String>,
}

impl Generator {
    pub(super) fn mixed(&mut self) -> String {
        self.names = 0;
        match self.below(10) {
            0 => self.update(),
            1 => self.delete(),
            2 => self.insert(),
            3 => self.set_operation(),
            4 => self.with_cte(),
            _ => self.query(2, &[]),
        }
    }

    /// A query that exports organization_id, deleted_at, id and a text, in this order.
    fn query(&mut self, depth: usize, outer: &[Relation]) -> String {
        let (from, relations) = self.from(depth, outer);
        let shown = self.pick(&relations).clone();
        let mut filter = self.filter(&relations, outer, depth);
        if self.chance(6) {
            filter = format!("({filter}) OR {}", self.atom(&relations));
        }
        let mut tail = String::new();
        let distinct = if self.chance(8) { "DISTINCT " } else { "" };
        let text =
            shown.text.as_ref().map_or("'x'".to_owned(), |text| format!("{}.{text}", shown.alias));
        let alias = &shown.alias;
        if self.chance(8) {
            tail = format!(
                " GROUP BY {alias}.organization_id, {alias}.deleted_at, {alias}.id, {text}"
            );
        } else if self.chance(6) {
            tail = " ORDER BY 1, 2, 3, 4 LIMIT 3".to_owned();
        }
        format!(
            "SELECT {distinct}{alias}.organization_id, {alias}.deleted_at, {alias}.id, {text} AS txt FROM {from} WHERE {filter}{tail}"
        )
    }

    fn relation(
        &mut self,
        depth: usize,
        outer: &[Relation],
        lateral: &[Relation],
    ) -> (String, Relation) {
        let alias = self.alias();
        if depth > 0 && self.chance(22) {
            let sees = if self.chance(30) { lateral } else { &[] };
            let keyword = if sees.is_empty() { "" } else { "LATERAL " };
            let mut visible = outer.to_vec();
            visible.extend(sees.iter().cloned());
            let inner = self.query(depth - 1, &visible);
            let keys = vec!["id".to_owned()];
            let relation = Relation { alias: alias.clone(), keys, text: Some("txt".to_owned()) };
            return (format!("{keyword}({inner}) AS {alias}"), relation);
        }
        let (table, keys, text) = *self.pick(TABLES);
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        (format!("{table} {alias}"), Relation { alias, keys, text: Some(text.to_owned()) })
    }

    fn from(&mut self, depth: usize, outer: &[Relation]) -> (String, Vec<Relation>) {
        let (mut from, first) = self.relation(depth, outer, &[]);
        let mut relations = vec![first];
        for _ in 0..self.below(3) {
            let kind = *self.pick(&[
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
            ]);
            let lateral: &[Relation] =
                if matches!(kind, "RIGHT JOIN" | "FULL JOIN") { &[] } else { &relations.clone() };
            let (item, relation) = self.relation(depth, outer, lateral);
            relations.push(relation.clone());
            if kind == "CROSS JOIN" {
                from = format!("{from} CROSS JOIN {item}");
                continue;
            }
            // FULL JOIN takes only equalities.
            let mut on = self.link(&relation, &relations);
            if kind != "FULL JOIN" {
                for _ in 0..self.below(4) {
                    let about = if self.chance(80) {
                        relation.clone()
                    } else {
                        self.pick(&relations).clone()
                    };
                    on = format!("{on} AND {}", self.binding(&about, &relations));
                }
            }
            from = format!("{from} {kind} {item} ON {on}");
        }
        (from, relations)
    }

    /// An equality between this relation and another.
    fn link(&mut self, relation: &Relation, relations: &[Relation]) -> String {
        let other = self.pick(relations).clone();
        let mine = self.pick(&relation.keys).clone();
        let theirs = self.pick(&other.keys).clone();
        let keys = format!("{}.{mine} = {}.{theirs}", relation.alias, other.alias);
        let tenants =
            format!("{}.organization_id = {}.organization_id", relation.alias, other.alias);
        match self.below(3) {
            0 => keys,
            1 => tenants,
            _ => format!("{keys} AND {tenants}"),
        }
    }

    fn binding(&mut self, relation: &Relation, relations: &[Relation]) -> String {
        let alias = &relation.alias;
        match self.below(9) {
            0 | 1 => format!("{alias}.organization_id = '{A}'"),
            2 => format!("{alias}.organization_id IN ('{A}')"),
            3..=5 => format!("{alias}.deleted_at IS NULL"),
            6 => format!("({alias}.organization_id, 1) = ('{A}', 1)"),
            _ => self.link(relation, relations),
        }
    }

    /// Something that may or may not bind.
    fn atom(&mut self, relations: &[Relation]) -> String {
        let relation = self.pick(relations).clone();
        let alias = &relation.alias;
        match self.below(9) {
            0 => format!("{alias}.organization_id = '{B}'"),
            1 => format!("{alias}.organization_id IN ('{A}', '{B}')"),
            2 => format!("{alias}.organization_id <> '{A}'"),
            3 => format!("{alias}.organization_id IS NOT NULL"),
            4 => format!("{alias}.deleted_at IS NOT NULL"),
            5 => format!("{alias}.id IS NULL"),
            6 => match &relation.text {
                Some(text) => format!("{alias}.{text} <> 'zz'"),
                None => "true".to_owned(),
            },
            7 => {
                format!("NOT ({alias}.organization_id <> '{A}' OR {alias}.deleted_at IS NOT NULL)")
            }
            _ => self.binding(&relation, relations),
        }
    }

    fn filter(&mut self, relations: &[Relation], outer: &[Relation], depth: usize) -> String {
        let mut parts = Vec::new();
        for relation in relations {
            let alias = &relation.alias;
            if self.chance(78) {
                parts.push(match self.below(8) {
                    0 if !outer.is_empty() => {
                        let other = self.pick(outer).alias.clone();
                        format!("{alias}.organization_id = {other}.organization_id")
                    }
                    1 => format!(
                        "{alias}.organization_id = current_setting('app.organization_id')::uuid"
                    ),
                    2 => format!("{alias}.organization_id = ANY(ARRAY['{A}'::uuid])"),
                    3 => {
                        let other = self.pick(relations).alias.clone();
                        format!("{alias}.organization_id = {other}.organization_id")
                    }
                    _ => format!("{alias}.organization_id = '{A}'"),
                });
            }
            if self.chance(85) {
                parts.push(format!("{alias}.deleted_at IS NULL"));
            }
        }
        if self.chance(25) {
            parts.push(self.atom(relations));
        }
        if depth > 0 && self.chance(30) {
            parts.push(self.subquery(relations, outer, depth));
        }
        if parts.is_empty() { "true".to_owned() } else { parts.join(" AND ") }
    }

    fn subquery(&mut self, relations: &[Relation], outer: &[Relation], depth: usize) -> String {
        let mut visible = outer.to_vec();
        visible.extend(relations.iter().cloned());
        let inner = self.query(depth - 1, &visible);
        let about = self.pick(relations).clone();
        match self.below(5) {
            0 => format!("NOT EXISTS ({inner})"),
            1 => format!(
                "{}.organization_id IN (SELECT s.organization_id FROM ({inner}) s)",
                about.alias
            ),
            2 => format!(
                "({}.organization_id, {}.id) IN (SELECT s.organization_id, s.id FROM ({inner}) s)",
                about.alias, about.alias
            ),
            3 => format!(
                "{}.id NOT IN (SELECT s.id FROM ({inner}) s WHERE s.id IS NOT NULL)",
                about.alias
            ),
            _ => format!("EXISTS ({inner})"),
        }
    }

    fn set_operation(&mut self) -> String {
        let operator = *self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
        let (left, right) = (self.query(1, &[]), self.query(1, &[]));
        if self.chance(40) {
            let filter = format!("u.organization_id = '{A}' AND u.deleted_at IS NULL");
            return format!("SELECT * FROM (({left}) {operator} ({right})) u WHERE {filter}");
        }
        format!("({left}) {operator} ({right})")
    }

    fn with_cte(&mut self) -> String {
        let inner = self.query(1, &[]);
        let materialized = *self.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let bound = format!("x.organization_id = '{A}' AND x.deleted_at IS NULL");
        let filter = if self.chance(60) { bound } else { "true".to_owned() };
        let second = match self.below(3) {
            0 => " AND EXISTS (SELECT 1 FROM c y WHERE y.id = x.id)".to_owned(),
            1 => format!(
                " AND x.id IN (SELECT y.id FROM c y WHERE y.organization_id = '{A}' AND y.deleted_at IS NULL)"
            ),
            _ => String::new(),
        };
        format!("WITH c AS {materialized}({inner}) SELECT x.* FROM c x WHERE {filter}{second}")
    }

    fn update(&mut self) -> String {
        let (table, keys, text) = *self.pick(TABLES);
        let alias = self.alias();
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let target = Relation { alias: alias.clone(), keys, text: Some(text.to_owned()) };
        let value = match self.below(6) {
            0 => format!("organization_id = '{A}'"),
            1 => format!("organization_id = '{B}'"),
            2 => "deleted_at = '2031-01-01'".to_owned(),
            _ => format!("{text} = 'changed'"),
        };
        let (from, mut relations) =
            if self.chance(50) { self.from(1, &[]) } else { (String::new(), Vec::new()) };
        relations.push(target);
        let filter = self.filter(&relations, &[], 1);
        let from = if from.is_empty() { from } else { format!(" FROM {from}") };
        format!("UPDATE {table} AS {alias} SET {value}{from} WHERE {filter}")
    }

    fn delete(&mut self) -> String {
        // Nothing refers to a note.
        let alias = self.alias();
        let target = Relation {
            alias: alias.clone(),
            keys: vec!["id".to_owned()],
            text: Some("body".to_owned()),
        };
        let (using, mut relations) =
            if self.chance(50) { self.from(1, &[]) } else { (String::new(), Vec::new()) };
        relations.push(target);
        let filter = self.filter(&relations, &[], 1);
        let using = if using.is_empty() { using } else { format!(" USING {using}") };
        format!("DELETE FROM org_notes AS {alias}{using} WHERE {filter} RETURNING {alias}.id")
    }

    fn insert(&mut self) -> String {
        let inner = self.query(1, &[]);
        let tenant = match self.below(3) {
            0 => format!("'{A}'"),
            1 => format!("'{B}'"),
            _ => "s.organization_id".to_owned(),
        };
        format!(
            "INSERT INTO org_notes (id, organization_id, body) SELECT gen_random_uuid(), {tenant}, s.txt FROM ({inner}) s RETURNING organization_id, body"
        )
    }
}
