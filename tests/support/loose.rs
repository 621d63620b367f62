//! Statements as programs write them that know nothing of tenants: no predicate on the tenant
//! column or the soft-delete column, in every form that takes relations.

/// Tables that have `id`, with a column that refers to another row, and a text.
const TABLES: &[(&str, &str, &str)] = &[
    ("org_products", "supplier_id", "name"),
    ("org_customers", "parent_id", "name"),
    ("org_orders", "customer_id", "status"),
    ("org_order_items", "order_id", "remark"),
    ("org_notes", "subject_id", "body"),
];

/// A generator of pseudo-random statements; the same seed gives the same ones.
pub(crate) struct Loose {
    state: u64,
    names: u32,
}

/// A relation in scope.
#[derive(Clone)]
struct Relation {
    alias: String,
    key: &'static str,
    text: &'static str,
}

impl Loose {
    pub(crate) fn new(seed: u64) -> Self {
        let mut made = Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, names: 0 };
        for _ in 0..8 {
            made.next();
        }
        made
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn alias(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }

    /// One statement.
    pub(crate) fn statement(&mut self) -> String {
        match self.below(12) {
            0 => self.update(),
            1 => self.delete(),
            2 => self.insert(),
            3 => self.upsert(),
            4 => self.merge(),
            5 => {
                let operator = *self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
                let (left, right) = (self.query(1, &[]), self.query(1, &[]));
                format!("({left}) {operator} ({right}) ORDER BY 1, 2")
            }
            6 => {
                let (inner, more) = (self.query(1, &[]), self.query(1, &[]));
                let kind = *self.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
                format!(
                    "WITH c AS {kind}({inner}), d(x, y) AS ({more}) SELECT c.*, d.y FROM c LEFT JOIN d ON d.x = c.id"
                )
            }
            7 => self.summary(),
            _ => self.query(2, &[]),
        }
    }

    /// A table of this kind under an alias.
    fn table(&mut self) -> (String, Relation) {
        let (table, key, text) = *self.pick(TABLES);
        let alias = self.alias();
        let only = if self.chance(8) { "ONLY " } else { "" };
        let word = if self.chance(50) { "AS " } else { "" };
        let written = match self.below(12) {
            0 => format!("{only}{table} {word}\"{alias}\""),
            1 => format!("{only}public.{table} {word}{alias}"),
            2 => format!("{only}{table} /* of {alias} */ {word}{alias}"),
            _ => format!("{only}{table} {word}{alias}"),
        };
        (written, Relation { alias, key, text })
    }

    fn item(&mut self, depth: usize, outer: &[Relation], lateral: bool) -> (String, Relation) {
        if depth > 0 && self.chance(18) {
            let alias = self.alias();
            let inner = self.query(depth - 1, if lateral { outer } else { &[] });
            let word = if lateral { "LATERAL " } else { "" };
            let relation = Relation { alias: alias.clone(), key: "id", text: "txt" };
            return (format!("{word}({inner}) AS {alias}"), relation);
        }
        self.table()
    }

    fn joined(&mut self, depth: usize) -> (String, Vec<Relation>) {
        let (mut from, first) = self.item(depth, &[], false);
        let mut relations = vec![first];
        for _ in 0..self.below(3) {
            let kind = *self.pick(&[
                "JOIN",
                "INNER JOIN",
                "LEFT JOIN",
                "LEFT OUTER JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
                ",",
            ]);
            let lateral = matches!(kind, "JOIN" | "LEFT JOIN") && self.chance(20);
            let (item, relation) = self.item(depth, &relations, lateral);
            match kind {
                "CROSS JOIN" => from = format!("{from} CROSS JOIN {item}"),
                // A comma binds less than JOIN: what comes behind it sees only what comes behind it.
                "," => {
                    let (more, others) = self.joined(0);
                    from = format!("{more}, {from} JOIN {item} ON true");
                    let mut all = others;
                    all.extend(relations);
                    relations = all;
                }
                _ => {
                    let on = self.on(&relation, &relations, kind == "FULL JOIN");
                    if kind != "FULL JOIN" && self.chance(15) {
                        let (inner, third) = self.table();
                        let nested = self.on(&third, std::slice::from_ref(&relation), false);
                        from = format!("{from} {kind} ({item} JOIN {inner} ON {nested}) ON {on}");
                        relations.push(third);
                    } else if self.chance(6) {
                        from = format!("{from} {kind} {item} USING (id)");
                    } else {
                        from = format!("{from} {kind} {item} ON {on}");
                    }
                }
            }
            relations.push(relation);
        }
        (from, relations)
    }

    fn on(&mut self, relation: &Relation, relations: &[Relation], plain: bool) -> String {
        let other = self.pick(relations).clone();
        let key = if self.chance(50) { "id" } else { relation.key };
        let theirs = if key == "id" { other.key } else { "id" };
        let link = format!("{}.{key} = {}.{theirs}", relation.alias, other.alias);
        if plain {
            return link;
        }
        match self.below(6) {
            0 => format!("{link} OR {}.{} IS NULL", relation.alias, relation.text),
            1 => format!("({link}) AND {}.{} <> 'x'", relation.alias, relation.text),
            2 => format!("({link}) IS TRUE"),
            3 => format!(
                "CASE WHEN {link} OR {}.{} = 'x' THEN true ELSE false END",
                relation.alias, relation.text
            ),
            _ => link,
        }
    }

    fn filter(&mut self, relations: &[Relation], outer: &[Relation], depth: usize) -> Vec<String> {
        let mut parts = Vec::new();
        for _ in 0..self.below(3) {
            let about = self.pick(relations).clone();
            parts.push(self.atom(&about));
        }
        if !outer.is_empty() {
            let (inner, other) = (self.pick(relations).clone(), self.pick(outer).clone());
            parts.push(format!("{}.{} = {}.id", inner.alias, inner.key, other.alias));
        }
        if depth > 0 && self.chance(25) {
            let about = self.pick(relations).clone();
            let inner = self.query(depth - 1, relations);
            parts.push(match self.below(4) {
                0 => format!("EXISTS ({inner})"),
                1 => format!("NOT EXISTS ({inner})"),
                2 => format!("{}.id IN (SELECT s.id FROM ({inner}) s)", about.alias),
                _ => format!("{}.id NOT IN (SELECT s.id FROM ({inner}) s)", about.alias),
            });
        }
        parts
    }

    fn atom(&mut self, about: &Relation) -> String {
        let Relation { alias, key, text } = about;
        match self.below(7) {
            0 => format!("{alias}.{text} LIKE 'A%'"),
            1 => format!("{alias}.{key} IS NOT NULL"),
            2 => format!("{alias}.{text} <> 'x' OR {alias}.{key} IS NULL"),
            3 => format!("NOT {alias}.{text} = 'x'"),
            4 => format!("{alias}.{text} IS DISTINCT FROM 'x'"),
            5 => format!(
                "{alias}.id BETWEEN '00000000-0000-0000-0000-000000000000' AND 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
            ),
            _ => format!("length({alias}.{text}) > 3"),
        }
    }

    fn clause(&mut self, parts: &[String]) -> String {
        if parts.is_empty() {
            return String::new();
        }
        let joiner = if self.chance(25) { " OR " } else { " AND " };
        let comment = if self.chance(20) { " -- as asked\n" } else { "" };
        format!(" WHERE {}{comment}", parts.join(joiner))
    }

    /// A query that exports id and a text, in this order.
    fn query(&mut self, depth: usize, outer: &[Relation]) -> String {
        let (from, relations) = self.joined(depth.saturating_sub(1));
        let shown = self.pick(&relations).clone();
        let parts = self.filter(&relations, outer, depth);
        let filter = self.clause(&parts);
        let Relation { alias, text, .. } = &shown;
        let tail = match self.below(10) {
            0 => format!(" GROUP BY {alias}.id, {alias}.{text}"),
            1 => format!(" GROUP BY {alias}.id, {alias}.{text} HAVING count(*) > 1"),
            2 => " ORDER BY 1, 2".to_owned(),
            3 => " ORDER BY 1, 2 LIMIT 3".to_owned(),
            4 => " ORDER BY 1, 2 OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY".to_owned(),
            5 => format!(" WINDOW w AS (PARTITION BY {alias}.id)"),
            _ => String::new(),
        };
        let distinct = if self.chance(10) { "DISTINCT " } else { "" };
        format!("SELECT {distinct}{alias}.id, {alias}.{text} AS txt FROM {from}{filter}{tail}")
    }

    /// Aggregates, windows, whole rows, and subqueries in the select list.
    fn summary(&mut self) -> String {
        let (from, relations) = self.joined(1);
        let shown = self.pick(&relations).clone();
        let parts = self.filter(&relations, &[], 1);
        let filter = self.clause(&parts);
        let Relation { alias, key, text } = &shown;
        match self.below(7) {
            0 => format!(
                "SELECT count(*), count({alias}.id), max({alias}.{text}) FROM {from}{filter}"
            ),
            1 => format!(
                "SELECT {alias}.{key}, count(*) OVER (PARTITION BY {alias}.{key}) FROM {from}{filter}"
            ),
            2 => format!("SELECT to_jsonb({alias}) FROM {from}{filter}"),
            3 => {
                let (table, other, _) = *self.pick(TABLES);
                format!(
                    "SELECT {alias}.id, (SELECT count(*) FROM {table} u WHERE u.{other} = {alias}.id) FROM {from}{filter}"
                )
            }
            4 => {
                let (table, _, text) = *self.pick(TABLES);
                format!("TABLE {table} UNION ALL SELECT * FROM {table} WHERE {text} LIKE 'A%'")
            }
            5 => {
                let (table, key, text) = *self.pick(TABLES);
                format!("SELECT {text}, {key} FROM {table} GROUP BY id ORDER BY 1 FOR UPDATE")
                    .replace(" GROUP BY id", if self.chance(50) { "" } else { " WHERE true" })
            }
            _ => format!(
                "SELECT count(*) FILTER (WHERE {alias}.{text} LIKE 'A%'), array_agg({alias}.id ORDER BY {alias}.id) FROM {from}{filter} GROUP BY {alias}.{key}"
            ),
        }
    }

    fn update(&mut self) -> String {
        let (table, key, text) = *self.pick(TABLES);
        let alias = self.alias();
        let target = Relation { alias: alias.clone(), key, text };
        let (from, mut relations) =
            if self.chance(40) { self.joined(1) } else { (String::new(), Vec::new()) };
        relations.push(target);
        let mut parts = self.filter(&relations, &[], 1);
        if self.chance(50) {
            parts.push(format!("{alias}.id = 'a1000000-0000-4000-8000-000000000001'"));
        }
        let filter = self.clause(&parts);
        let from = if from.is_empty() { from } else { format!(" FROM {from}") };
        let value = match self.below(3) {
            0 => "deleted_at = '2031-01-01'".to_owned(),
            1 => {
                let (other, _, text) = *self.pick(TABLES);
                format!(
                    "updated_at = (SELECT min(u.updated_at) FROM {other} u WHERE u.{text} <> 'x')"
                )
            }
            _ => format!("{text} = 'changed'"),
        };
        let returning = *self.pick(&["", " RETURNING *", " RETURNING id AS key"]);
        // Of several rows that join one target row PostgreSQL takes any (documentation, UPDATE,
        // "Notes"): only the target's own columns are the same each time.
        let returning =
            returning.replace("id", &format!("{alias}.id")).replace('*', &format!("{alias}.*"));
        format!("UPDATE {table} AS {alias} SET {value}{from}{filter}{returning}")
    }

    fn delete(&mut self) -> String {
        // Nothing refers to a note.
        let target = Relation { alias: "n".to_owned(), key: "subject_id", text: "body" };
        let (using, mut relations) =
            if self.chance(40) { self.joined(1) } else { (String::new(), Vec::new()) };
        relations.push(target);
        let parts = self.filter(&relations, &[], 1);
        let filter = self.clause(&parts);
        let using = if using.is_empty() { using } else { format!(" USING {using}") };
        format!("DELETE FROM org_notes AS n{using}{filter} RETURNING n.id, n.body")
    }

    fn insert(&mut self) -> String {
        let id = |n: usize| format!("'a6000000-0000-4000-8000-0000000000{n:02}'");
        match self.below(5) {
            0 => format!(
                "INSERT INTO org_tags (id, label) VALUES ({}, 'one'), ({}, 'two') RETURNING *",
                id(21),
                id(22)
            ),
            1 => format!(
                "INSERT INTO org_tags (id, organization_id, label) VALUES ({}, DEFAULT, 'one') RETURNING *",
                id(21)
            ),
            2 => {
                let inner = self.query(1, &[]);
                format!(
                    "INSERT INTO org_notes (id, body) SELECT q.id, coalesce(q.txt, '') FROM ({inner}) q WHERE q.id IS NOT NULL ON CONFLICT DO NOTHING RETURNING body"
                )
            }
            3 => {
                let (left, right) = (self.query(0, &[]), self.query(0, &[]));
                format!(
                    "INSERT INTO org_tags (id, label) (SELECT gen_random_uuid(), a.txt FROM ({left}) a WHERE a.txt IS NOT NULL) EXCEPT SELECT b.id, b.txt FROM ({right}) b ON CONFLICT DO NOTHING"
                )
            }
            _ => format!(
                "WITH made AS (INSERT INTO org_tags (id, label) SELECT {}::uuid, 'made' RETURNING *) SELECT made.label, made.organization_id FROM made",
                id(23)
            ),
        }
    }

    fn upsert(&mut self) -> String {
        let id = *self.pick(&[
            "a6000000-0000-4000-8000-000000000001",
            "a6000000-0000-4000-8000-000000000009",
            "b6000000-0000-4000-8000-000000000001",
            "a6000000-0000-4000-8000-000000000031",
        ]);
        let label = *self.pick(&["sale", "gone old", "fresh", "B secret"]);
        let target =
            *self.pick(&["(id)", "(organization_id, label)", "ON CONSTRAINT org_tags_pkey"]);
        let own = *self.pick(&["", " WHERE t.label <> 'new'", " WHERE t.label = 'x' OR true"]);
        format!(
            "INSERT INTO org_tags AS t (id, label) VALUES ('{id}', '{label}') ON CONFLICT {target} DO UPDATE SET label = excluded.label || '!'{own} RETURNING t.id, t.label"
        )
    }

    fn merge(&mut self) -> String {
        let source = if self.chance(50) {
            self.table().0.split(['/', '"']).next().unwrap_or_default().trim().to_owned()
        } else {
            let inner = self.query(0, &[]);
            format!("({inner}) AS s")
        };
        let source = if source.starts_with('(') {
            source
        } else {
            let (table, _, text) = *self.pick(TABLES);
            format!("(SELECT u.id, u.{text} AS txt FROM {table} u) AS s")
        };
        let insert = if self.chance(50) {
            " WHEN NOT MATCHED AND s.txt LIKE 'A%' THEN INSERT (id, body) VALUES (s.id, s.txt)"
        } else {
            ""
        };
        let change = *self.pick(&["UPDATE SET body = 'merged'", "DELETE", "DO NOTHING"]);
        format!(
            "MERGE INTO org_notes n USING {source} ON n.subject_id = s.id WHEN MATCHED AND n.body <> 'x' THEN {change}{insert}"
        )
    }
}
