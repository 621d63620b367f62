//! Queries that are bound reference by reference, or with one flaw.

use super::{A, B, Generator, TABLES};

/// Something in FROM.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) sql: String,
    pub(super) alias: String,
    /// Columns of ids that may be compared with one another.
    pub(super) keys: Vec<String>,
    pub(super) text: String,
    pub(super) tenant: String,
    pub(super) gone: String,
    /// What binds it is still to be written around it.
    pub(super) open: bool,
}

impl Item {
    pub(super) fn column(&self, name: &str) -> String {
        format!("{}.{name}", self.alias)
    }

    fn tenant(&self) -> String {
        self.column(&self.tenant)
    }

    fn gone(&self) -> String {
        self.column(&self.gone)
    }
}

/// The two predicates that an open reference needs.
pub(super) struct Binding {
    pub(super) tenant: String,
    pub(super) live: String,
}

impl Binding {
    pub(super) fn both(&self) -> String {
        format!("{} AND {}", self.tenant, self.live)
    }
}

impl Generator {
    /// A statement of any kind.
    pub(super) fn whole(&mut self, merge: bool) -> String {
        match self.below(14) {
            0 => self.bound_update(),
            1 => self.bound_delete(),
            2 => self.bound_insert(),
            3 => self.bound_upsert(),
            4 => self.bound_merge(merge),
            5 => self.bound_write_in_with(),
            6 => self.bound_set_operation(),
            7 => self.bound_with(),
            8 => self.bound_recursion(),
            9 => self.grouped(),
            10 => self.windowed(),
            11 => self.shared(),
            _ => self.bound_query(2, &[]),
        }
    }

    /// A table, or a view of one.
    pub(super) fn open_item(&mut self) -> Item {
        let alias = self.alias();
        match self.below(12) {
            0 => {
                self.note("view");
                let view = *self.pick(&["product_view", "deep_view"]);
                self.item(format!("{view} {alias}"), alias, &["id"], "name")
            }
            1 => {
                self.note("view with names of its own");
                let mut item = self.item(format!("customer_view {alias}"), alias, &["k"], "label");
                (item.tenant, item.gone) = ("tenant".to_owned(), "gone".to_owned());
                item
            }
            2 => {
                self.note("column aliases");
                let sql = format!("org_tags AS {alias} (k, o, t)");
                let mut item = self.item(sql, alias, &["k"], "t");
                (item.tenant, item.gone) = ("o".to_owned(), "deleted_at".to_owned());
                item
            }
            3 => {
                let table = *self.pick(&["ONLY org_products", "public.org_products"]);
                self.note("ONLY and schema");
                self.item(format!("{table} AS {alias}"), alias, &["id", "supplier_id"], "name")
            }
            _ => {
                let (table, keys, text) = *self.pick(TABLES);
                self.item(format!("{table} {alias}"), alias, keys, text)
            }
        }
    }

    pub(super) fn item(&self, sql: String, alias: String, keys: &[&str], text: &str) -> Item {
        Item {
            sql,
            alias,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            text: text.to_owned(),
            tenant: "organization_id".to_owned(),
            gone: "deleted_at".to_owned(),
            open: true,
        }
    }

    /// A derived table that is bound inside.
    fn closed_item(&mut self, depth: usize, lateral: &[Item]) -> Item {
        let alias = self.alias();
        let keyword = if lateral.is_empty() { "" } else { "LATERAL " };
        if !lateral.is_empty() {
            self.note("LATERAL");
        }
        self.note("derived table");
        let inner = self.bound_query(depth, lateral);
        let mut item = self.item(format!("{keyword}({inner}) AS {alias}"), alias, &["id"], "txt");
        item.open = false;
        item
    }

    pub(super) fn any_item(&mut self, depth: usize, lateral: &[Item]) -> Item {
        if depth > 0 && self.chance(28) {
            let lateral = if self.chance(35) { lateral } else { &[] };
            self.closed_item(depth - 1, lateral)
        } else {
            self.open_item()
        }
    }

    /// What binds an open reference, by itself or by what is bound beside it; the flaw, if it is its
    /// turn.
    pub(super) fn bind(&mut self, item: &Item, bound: &[Item]) -> Binding {
        let (tenant, gone) = (item.tenant(), item.gone());
        if self.is_flawed() {
            return self.flaw(item);
        }
        let live = match self.below(6) {
            0 => {
                self.note("NOT (… IS NOT NULL)");
                format!("NOT ({gone} IS NOT NULL)")
            }
            1 => {
                self.note("row IS NULL");
                format!("({gone}, NULL) IS NULL")
            }
            _ => format!("{gone} IS NULL"),
        };
        Binding { tenant: self.bound_tenant(item, &tenant, bound), live }
    }

    fn bound_tenant(&mut self, item: &Item, tenant: &str, bound: &[Item]) -> String {
        if !bound.is_empty() && self.chance(30) {
            self.note("equality with a bound reference");
            let other = self.pick(bound).tenant();
            return match self.below(3) {
                0 => format!("{other} = {tenant}"),
                1 => format!("NOT ({tenant} <> {other})"),
                _ => format!("{tenant} = {other}"),
            };
        }
        let (rule, text) = match self.below(18) {
            0 => ("constant first", format!("'{A}' = {tenant}")),
            1 => ("cast constant", format!("{tenant} = '{A}'::uuid")),
            2 => ("CAST", format!("{tenant} = CAST('{A}' AS uuid)")),
            3 => ("IN one", format!("{tenant} IN ('{A}')")),
            4 => ("ANY array", format!("{tenant} = ANY (ARRAY['{A}'::uuid])")),
            5 => ("ANY literal", format!("{tenant} = ANY ('{{{A}}}')")),
            6 => ("IS NOT DISTINCT FROM", format!("{tenant} IS NOT DISTINCT FROM '{A}'")),
            7 => ("NOT <>", format!("NOT ({tenant} <> '{A}')")),
            8 => {
                let key = item.column(&item.keys[0]);
                ("row comparison", format!("({tenant}, {key}) = ('{A}', {key})"))
            }
            9 => {
                let setting = format!("{tenant} = current_setting('app.organization_id')::uuid");
                ("current_setting", setting)
            }
            10 => {
                let text = item.column(&item.text);
                let arms = format!(
                    "({tenant} = '{A}' AND {text} <> 'x' OR {tenant} = '{A}' AND {text} = 'x')"
                );
                ("every arm of an OR", arms)
            }
            11 => ("subquery of a constant", format!("{tenant} = (SELECT '{A}'::uuid)")),
            12 => ("other spelling", format!("{tenant} = '{{{}}}'", A.replace('-', ""))),
            13 => ("IS TRUE", format!("({tenant} = '{A}') IS TRUE")),
            14 if !item.alias.is_empty() => {
                let inner = self.alias();
                let exists = format!(
                    "{tenant} IN (SELECT {inner}.organization_id FROM org_notes {inner} \
                     WHERE {inner}.organization_id = '{A}' AND {inner}.deleted_at IS NULL)"
                );
                ("IN a bound subquery", exists)
            }
            15 => {
                let inner = self.alias();
                let exists = format!(
                    "EXISTS (SELECT 1 FROM org_tags {inner} WHERE {inner}.organization_id = '{A}' \
                     AND {inner}.deleted_at IS NULL AND {inner}.organization_id = {tenant})"
                );
                ("EXISTS over a bound one", exists)
            }
            _ => ("constant", format!("{tenant} = '{A}'")),
        };
        self.note(rule);
        text
    }

    /// Predicates that do not bind. Nothing beside them does.
    fn flaw(&mut self, item: &Item) -> Binding {
        let (tenant, gone) = (item.tenant(), item.gone());
        let (key, text) = (item.column(&item.keys[0]), item.column(&item.text));
        let good = format!("{tenant} = '{A}'");
        let live = format!("{gone} IS NULL");
        let (rule, tenant, live) = match self.below(18) {
            0 | 1 => ("flaw: no tenant", "true".to_owned(), live),
            2 => ("flaw: other tenant", format!("{tenant} = '{B}'"), live),
            3 => ("flaw: IN two", format!("{tenant} IN ('{A}', '{B}')"), live),
            4 => ("flaw: range", format!("{tenant} >= '{A}'"), live),
            5 => ("flaw: <>", format!("{tenant} <> '{B}'"), live),
            6 => ("flaw: IS NOT NULL", format!("{tenant} IS NOT NULL"), live),
            7 => ("flaw: itself", format!("{tenant} = {tenant}"), live),
            8 => ("flaw: OR", format!("({good} OR {text} <> 'nothing')"), live),
            9 => ("flaw: wrapped", format!("({good}) IS NOT NULL"), live),
            10 => {
                let case = format!("CASE WHEN {good} THEN true ELSE true END");
                ("flaw: CASE", case, live)
            }
            11 => {
                let outer = format!("({good}) IS NOT TRUE OR {good}");
                ("flaw: both ways", format!("({outer})"), live)
            }
            12 => ("flaw: a row is less", format!("({tenant}, {key}) >= ('{A}', {key})"), live),
            13 => (
                "flaw: NOT EXISTS",
                format!("NOT EXISTS (SELECT 1 WHERE {tenant} = '{B}' AND {text} = 'nothing')"),
                live,
            ),
            14 => {
                let among = format!("{tenant} IN (SELECT id FROM organizations)");
                ("flaw: IN an unbound subquery", among, live)
            }
            15 => ("flaw: no deleted_at", good, "true".to_owned()),
            16 => ("flaw: deleted", good, format!("{gone} IS NOT NULL")),
            _ => ("flaw: deleted or not", good, format!("({gone} IS NULL OR {text} <> 'nothing')")),
        };
        self.note(rule);
        Binding { tenant, live }
    }

    /// A condition that says nothing of tenants, and cannot fail.
    fn harmless(&mut self, items: &[Item]) -> String {
        let item = self.pick(items).clone();
        let (key, text) = (item.column(&item.keys[0]), item.column(&item.text));
        match self.below(6) {
            0 => format!("{key} IS NOT NULL"),
            1 => format!("({text} <> 'zz' OR {key} IS NULL)"),
            2 => format!("upper({text}) LIKE '%A%'"),
            3 => format!("length({text}) > 0"),
            4 => format!("NOT ({text} = 'zz' AND {key} IS NULL)"),
            _ => format!("{text} <> 'zz'"),
        }
    }

    pub(super) fn joined(&mut self, item: &Item, others: &[Item]) -> String {
        let other = self.pick(others).clone();
        let (mine, theirs) = (self.pick(&item.keys).clone(), self.pick(&other.keys).clone());
        format!("{} = {}", item.column(&mine), other.column(&theirs))
    }

    /// A query that exports organization_id, deleted_at, id and txt, and is bound wherever it
    /// stands.
    pub(super) fn bound_query(&mut self, depth: usize, outer: &[Item]) -> String {
        match self.below(9) {
            0 => return self.right_join(),
            1 => return self.full_join(depth),
            2 => return self.using_join(),
            3 if depth > 0 => return self.filtered_outside(depth - 1),
            _ => {}
        }
        let first = self.any_item(depth, &[]);
        let mut items = vec![first];
        let mut from = items[0].sql.clone();
        let mut filters = Vec::new();
        let mut bound = outer.to_vec();
        self.place(&items[0].clone(), &bound, &mut filters);
        bound.push(items[0].clone());
        for _ in 0..self.below(3) {
            let lateral = items.clone();
            let item = self.any_item(depth, &lateral);
            let mut on = vec![self.joined(&item, &items)];
            match self.below(5) {
                0 | 1 => {
                    self.note("JOIN");
                    if self.chance(60) {
                        self.place(&item, &bound, &mut on);
                    } else {
                        self.place(&item, &bound, &mut filters);
                    }
                    from = format!("{from} JOIN {} ON {}", item.sql, on.join(" AND "));
                    bound.push(item.clone());
                }
                2 => {
                    self.note("comma");
                    filters.append(&mut on);
                    self.place(&item, &bound, &mut filters);
                    from = format!("{from} CROSS JOIN {}", item.sql);
                    bound.push(item.clone());
                }
                _ => {
                    self.left_join(&item, &bound, &mut on, &mut filters);
                    from = format!("{from} LEFT JOIN {} ON {}", item.sql, on.join(" AND "));
                    // Its columns may be NULL: it binds nothing by equality that is not NULL too.
                }
            }
            items.push(item);
        }
        for _ in 0..self.below(3) {
            filters.push(self.harmless(&items));
        }
        if depth > 0 && self.chance(30) {
            filters.push(self.bound_subquery(depth - 1, &items, &bound));
        }
        self.block(&items[0].clone(), &from, &filters, depth, &bound)
    }

    /// The predicates of an open item, in any order.
    fn place(&mut self, item: &Item, bound: &[Item], into: &mut Vec<String>) {
        if item.open {
            let Binding { tenant, live } = self.bind(item, bound);
            let parts = if self.chance(50) { [tenant, live] } else { [live, tenant] };
            into.extend(parts);
        }
    }

    /// The nullable side: both predicates in ON, or the strict one in WHERE.
    fn left_join(
        &mut self,
        item: &Item,
        bound: &[Item],
        on: &mut Vec<String>,
        filters: &mut Vec<String>,
    ) {
        self.note("LEFT JOIN");
        if !item.open {
            return;
        }
        let Binding { tenant, live } = self.bind(item, bound);
        if self.chance(25)
            && ["IS NOT DISTINCT", "IS TRUE", "EXISTS"].iter().all(|form| !tenant.contains(form))
        {
            self.note("a strict predicate in WHERE");
            filters.push(tenant);
            on.push(live);
        } else {
            on.extend([tenant, live]);
        }
    }

    fn right_join(&mut self) -> String {
        self.note("RIGHT JOIN");
        let (one, two) = (self.open_item(), self.open_item());
        let own = self.bind(&two, &[]).both();
        let other = self.bind(&one, std::slice::from_ref(&two)).both();
        let link = self.joined(&two, std::slice::from_ref(&one));
        let from = format!("{} RIGHT JOIN {} ON {link} AND {other}", one.sql, two.sql);
        self.block(&two, &from, &[own], 0, std::slice::from_ref(&two))
    }

    fn full_join(&mut self, depth: usize) -> String {
        let (one, two) = if self.chance(50) {
            self.note("FULL JOIN of derived tables");
            (self.closed_item(depth.saturating_sub(1), &[]), self.closed_item(0, &[]))
        } else {
            self.note("FULL JOIN with strict predicates");
            (self.open_item(), self.open_item())
        };
        let link = self.joined(&two, std::slice::from_ref(&one));
        let from = format!("{} FULL JOIN {} ON {link}", one.sql, two.sql);
        let mut filters = Vec::new();
        for item in [&one, &two] {
            if item.open {
                let flaw = self.is_flawed().then(|| self.flaw(item));
                let good = Binding {
                    tenant: format!("{} = '{A}'", item.tenant()),
                    live: format!("{} IS NULL", item.gone()),
                };
                filters.push(flaw.unwrap_or(good).both());
            }
        }
        self.block(&one, &from, &filters, 0, &[])
    }

    /// USING and NATURAL: one column stands for both.
    fn using_join(&mut self) -> String {
        let (one, two) = (self.alias(), self.alias());
        let kind = *self.pick(&["JOIN", "LEFT JOIN"]);
        let flawed = self.is_flawed();
        let filter = if flawed {
            self.note("flaw: no tenant");
            "true".to_owned()
        } else {
            format!("organization_id = '{A}'")
        };
        if self.chance(40) {
            self.note("NATURAL JOIN");
            return format!(
                "SELECT organization_id, {one}.deleted_at, {one}.id, {one}.txt \
                 FROM (SELECT organization_id, deleted_at, id, name AS txt FROM org_products \
                 WHERE deleted_at IS NULL) {one} NATURAL {kind} \
                 (SELECT organization_id, body AS other FROM org_notes WHERE deleted_at IS NULL) {two} \
                 WHERE {filter}"
            );
        }
        self.note("USING");
        format!(
            "SELECT organization_id, {one}.deleted_at, {one}.id, {one}.name AS txt \
             FROM org_products {one} {kind} (SELECT * FROM org_tags WHERE deleted_at IS NULL) {two} \
             USING (organization_id) WHERE {filter} AND {one}.deleted_at IS NULL"
        )
    }

    /// A derived table that is bound from outside, through what lets a predicate in.
    fn filtered_outside(&mut self, depth: usize) -> String {
        let (inner, outer) = (self.open_item(), self.alias());
        let (o, d) = (inner.tenant(), inner.gone());
        let (key, text) = (inner.column(&inner.keys[0]), inner.column(&inner.text));
        let columns = format!("{o} AS o, {d} AS d, {key} AS k, {text} AS x");
        let (rule, derived) = match self.below(5) {
            0 => ("outside DISTINCT", format!("SELECT DISTINCT {columns} FROM {}", inner.sql)),
            1 => (
                "outside GROUP BY",
                format!("SELECT {columns} FROM {} GROUP BY {o}, {d}, {key}, {text}", inner.sql),
            ),
            2 => (
                "outside DISTINCT ON",
                format!(
                    "SELECT DISTINCT ON ({o}, {d}, {text}) {columns} FROM {} ORDER BY {o}, {d}, {text}, {key}",
                    inner.sql
                ),
            ),
            3 => (
                "outside a window",
                format!(
                    "SELECT {columns}, count(*) OVER (PARTITION BY {o}, {d}) AS n FROM {}",
                    inner.sql
                ),
            ),
            _ => ("outside", format!("SELECT {columns} FROM {}", inner.sql)),
        };
        self.note(rule);
        let mut item = self.item(format!("({derived}) AS {outer}"), outer, &["k"], "x");
        (item.tenant, item.gone) = ("o".to_owned(), "d".to_owned());
        let filter = self.bind(&item, &[]).both();
        let from = item.sql.clone();
        self.block(&item, &from, &[filter], depth, std::slice::from_ref(&item))
    }

    fn bound_subquery(&mut self, depth: usize, items: &[Item], bound: &[Item]) -> String {
        let item = self.pick(items).clone();
        let key = item.column(&item.keys[0]);
        let inner = self.bound_query(depth, bound);
        let (rule, text) = match self.below(6) {
            0 => ("NOT EXISTS", format!("NOT EXISTS ({inner})")),
            1 => ("IN", format!("{key} IN (SELECT q.id FROM ({inner}) q)")),
            2 => (
                "NOT IN",
                format!("{key} NOT IN (SELECT q.id FROM ({inner}) q WHERE q.id IS NOT NULL)"),
            ),
            3 => ("scalar", format!("(SELECT count(*) FROM ({inner}) q) >= 0")),
            4 => ("ANY", format!("{key} = ANY (SELECT q.id FROM ({inner}) q)")),
            _ => ("EXISTS", format!("EXISTS ({inner})")),
        };
        self.note(rule);
        text
    }

    /// The rest of a block.
    fn block(
        &mut self,
        shown: &Item,
        from: &str,
        filters: &[String],
        depth: usize,
        bound: &[Item],
    ) -> String {
        let filter = if filters.is_empty() { "true".to_owned() } else { filters.join(" AND ") };
        let (o, d) = (shown.tenant(), shown.gone());
        let (key, mut text) = (shown.column(&shown.keys[0]), shown.column(&shown.text));
        let mut head = "SELECT";
        let mut tail = String::new();
        match self.below(12) {
            0 => {
                self.note("DISTINCT");
                head = "SELECT DISTINCT";
            }
            1 => {
                self.note("GROUP BY");
                tail = format!(" GROUP BY {o}, {d}, {key}, {text}");
            }
            2 => {
                self.note("LIMIT");
                tail = " ORDER BY 1, 2, 3, 4 LIMIT 3".to_owned();
            }
            3 if depth > 0 => {
                self.note("scalar in the list");
                let inner = self.bound_query(0, bound);
                text = format!("(SELECT max(q.txt) FROM ({inner}) q)");
            }
            4 => {
                self.note("window in the block");
                text = format!("{text} || row_number() OVER (ORDER BY {key}, {text})");
            }
            _ => {}
        }
        format!(
            "{head} {o} AS organization_id, {d} AS deleted_at, {key} AS id, {text} AS txt FROM {from} WHERE {filter}{tail}"
        )
    }

    fn bound_set_operation(&mut self) -> String {
        self.note("set operation");
        // A bound arm heals the other one through what INTERSECT and EXCEPT compare.
        let operators: &[&str] = if self.flaw.is_some() {
            &["UNION", "UNION ALL"]
        } else {
            &["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]
        };
        let operator = *self.pick(operators);
        if self.chance(30) {
            self.note("set operation filtered outside");
            let u = self.alias();
            let mut item = self.item(
                format!(
                    "(SELECT organization_id, deleted_at, id, name AS txt FROM org_products {operator} \
                     SELECT organization_id, deleted_at, subject_id, body FROM org_notes) AS {u}"
                ),
                u,
                &["id"],
                "txt",
            );
            item.open = true;
            let filter = self.bind(&item, &[]).both();
            let from = item.sql.clone();
            return self.block(&item, &from, &[filter], 0, &[]);
        }
        let (left, right) = (self.bound_query(1, &[]), self.bound_query(1, &[]));
        format!("({left}) {operator} ({right})")
    }

    fn bound_with(&mut self) -> String {
        self.note("CTE");
        let materialized = *self.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        if self.chance(50) {
            let inner = self.bound_query(1, &[]);
            self.note("CTE with names of its own");
            let nested = if self.chance(40) {
                self.note("nested CTE");
                ", second AS (SELECT o, d, k, x FROM first WHERE x IS NOT NULL)"
            } else {
                ", second AS (SELECT * FROM first)"
            };
            return format!(
                "WITH first (o, d, k, x) AS {materialized}({inner}){nested} \
                 SELECT c.o, c.k, c.x FROM second c LEFT JOIN first f ON f.k = c.k"
            );
        }
        // Every use is filtered.
        self.note("CTE filtered at every use");
        let (one, two) = (self.alias(), self.alias());
        let mut uses = Vec::new();
        for alias in [&one, &two] {
            let mut item = self.item(String::new(), alias.clone(), &["k"], "x");
            (item.tenant, item.gone) = ("o".to_owned(), "d".to_owned());
            uses.push(self.bind(&item, &[]).both());
        }
        format!(
            "WITH c AS {materialized}(SELECT organization_id AS o, deleted_at AS d, id AS k, name AS x \
             FROM org_customers) SELECT {one}.o, {one}.k, {one}.x FROM c {one} \
             WHERE {} AND EXISTS (SELECT 1 FROM c {two} WHERE {} AND {two}.x <> {one}.x)",
            uses[0], uses[1]
        )
    }

    fn bound_recursion(&mut self) -> String {
        self.note("recursion");
        let union = *self.pick(&["UNION", "UNION ALL"]);
        let base = self.item(String::new(), "b".to_owned(), &["id"], "name");
        let base = self.bind(&base, &[]).both();
        let step = if self.is_flawed() {
            self.note("flaw: the step is not bound");
            "true".to_owned()
        } else if self.chance(50) {
            "c.organization_id = r.t".to_owned()
        } else {
            format!("c.organization_id = '{A}'")
        };
        format!(
            "WITH RECURSIVE r (k, t, n) AS (SELECT b.id, b.organization_id, 1 FROM org_customers b \
             WHERE {base} {union} SELECT c.id, c.organization_id, r.n + 1 FROM org_customers c \
             JOIN r ON c.parent_id = r.k AND {step} WHERE c.deleted_at IS NULL AND r.n < 4) \
             SELECT k, t, n FROM r"
        )
    }

    fn grouped(&mut self) -> String {
        let item = self.open_item();
        let (o, d, text) = (item.tenant(), item.gone(), item.column(&item.text));
        match self.below(3) {
            0 => {
                self.note("HAVING on keys");
                let Binding { tenant, live } = if self.is_flawed() {
                    self.note("flaw: HAVING over an aggregate");
                    Binding {
                        tenant: format!("bool_or({o} = '{A}')"),
                        live: format!("{d} IS NULL"),
                    }
                } else {
                    Binding { tenant: format!("{o} = '{A}'"), live: format!("{d} IS NULL") }
                };
                format!(
                    "SELECT count(*), max({text}) FROM {} GROUP BY {o}, {d} HAVING {tenant} AND {live}",
                    item.sql
                )
            }
            1 => {
                self.note("HAVING with a bound subquery");
                let filter = self.bind(&item, &[]).both();
                let inner = self.bound_query(0, &[]);
                format!(
                    "SELECT {text}, count(*) FROM {} WHERE {filter} GROUP BY {text} \
                     HAVING count(*) >= (SELECT count(*) / 100 FROM ({inner}) q)",
                    item.sql
                )
            }
            _ => {
                self.note("aggregates");
                let filter = self.bind(&item, &[]).both();
                format!(
                    "SELECT count(*), string_agg({text}, ',' ORDER BY {text}) FILTER (WHERE {text} <> 'x') \
                     FROM {} WHERE {filter}",
                    item.sql
                )
            }
        }
    }

    fn windowed(&mut self) -> String {
        self.note("window");
        let item = self.open_item();
        let (key, text) = (item.column(&item.keys[0]), item.column(&item.text));
        let filter = self.bind(&item, &[]).both();
        format!(
            "SELECT {key}, rank() OVER w, lag({text}) OVER w FROM {} WHERE {filter} \
             WINDOW w AS (PARTITION BY {} ORDER BY {text}, {key})",
            item.sql,
            item.tenant()
        )
    }

    /// Shared tables and the server's own catalogue, beside a bound reference.
    fn shared(&mut self) -> String {
        let item = self.open_item();
        let (text, tenant) = (item.column(&item.text), item.tenant());
        if self.chance(30) {
            self.note("bound through a shared table");
            let value = if self.is_flawed() {
                self.note("flaw: a shared table that is not bound");
                "o.slug IS NOT NULL".to_owned()
            } else {
                format!("o.id = '{A}'")
            };
            return format!(
                "SELECT {text}, o.name FROM {} JOIN organizations o ON o.id = {tenant} \
                 WHERE {value} AND {} IS NULL",
                item.sql,
                item.gone()
            );
        }
        let filter = self.bind(&item, &[]).both();
        let (rule, shown, with) = match self.below(3) {
            0 => {
                let with = "JOIN pg_catalog.pg_class r ON r.relname = 'plans'".to_owned();
                ("catalogue of the server", "r.relname", with)
            }
            1 => {
                let with = format!("JOIN organizations o ON o.id = {tenant}");
                ("shared table", "o.name", with)
            }
            _ => ("VALUES", "v.n", "CROSS JOIN (VALUES (1), (2)) AS v (n)".to_owned()),
        };
        self.note(rule);
        format!("SELECT {text}, {shown} FROM {} {with} WHERE {filter}", item.sql)
    }
}
