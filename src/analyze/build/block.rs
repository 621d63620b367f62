//! SELECT blocks: their facts, what comes out of them, and by what they group.

use super::super::graph::{Arm, ArmColumn, ContextId, Fact, Term};
use super::join::Level;
use super::{Builder, Clause, Scope};
use crate::policy::Routine;
use crate::sql::model::{Block, Call, Constant, Expr, Grouping, Item, Window};

impl Builder<'_> {
    pub(super) fn block(
        &mut self,
        block: &Block,
        order_by: &[Expr],
        parent: ContextId,
        outer: &Scope<'_>,
    ) -> Arm {
        let Block { distinct_on, items, from, filter, grouping, having, windows } = block;
        let context = self.graph.context(Some(parent), Vec::new());
        let (mut trees, level) = self.from(from, Level::default(), Some(outer));
        let scope = level.scope(Some(outer));
        if let Some(filter) = filter {
            self.early(filter, &scope);
            let facts = self.predicate(filter, true, &scope, context);
            self.graph.add_facts(context, facts);
        }
        self.place(
            &mut trees,
            context,
            filter.as_ref().map(|filter| (filter, &level)),
            Some(outer),
        );
        let columns = self.items(items, &scope, context);
        let mut keys = Vec::new();
        let mut closed = false;
        match grouping {
            Grouping::None => {}
            Grouping::Keys(exprs) => keys.push(self.keys(exprs, &columns, &scope, context)),
            Grouping::Sets(exprs) => {
                closed = true;
                self.keys(exprs, &columns, &scope, context);
            }
        }
        if let Some(having) = having {
            self.early_groups(having, &scope);
            let facts = self.predicate(having, true, &scope, context);
            let facts: Vec<Fact> = match (grouping, keys.first()) {
                (Grouping::Keys(_), Some(keys)) => {
                    facts.into_iter().filter(|fact| is_about(fact, keys)).collect()
                }
                // A key is NULL in the groups of the sets without it: an equality keeps those out,
                // IS NULL does not.
                (Grouping::Sets(exprs), _) => {
                    let keys = self.set_keys(exprs, &scope);
                    let kept = |fact: &Fact| is_strict(fact) && is_about(fact, &keys);
                    facts.into_iter().filter(kept).collect()
                }
                (Grouping::Keys(_) | Grouping::None, _) => Vec::new(),
            };
            self.graph.add_facts(context, facts);
        }
        if let (Grouping::None, None, None, []) = (grouping, having, distinct_on, order_by) {
            self.filtered_aggregates(items, &scope, context);
        }
        if let Some(exprs) = distinct_on {
            keys.push(self.distinct_keys(exprs, items, &columns, &scope, context));
        }
        for key in order_by {
            self.walk(key, &scope, context, Clause::Value);
        }
        for window in windows {
            self.window_parts(window, &scope, context);
        }
        let mut partitions = Vec::new();
        let item_exprs = items.iter().filter_map(|item| match item {
            Item::Expr { expr, label: _ } => Some(expr),
            Item::Wildcard | Item::QualifiedWildcard(_) => None,
        });
        let mut aggregates = false;
        for expr in item_exprs.chain(order_by) {
            aggregates = aggregates || self.may_aggregate(expr);
            over(expr, windows, &mut partitions);
        }
        for partition in partitions {
            keys.push(partition.iter().filter_map(|expr| self.term(expr, &scope)).collect());
        }
        let grouped = matches!(grouping, Grouping::Keys(_));
        let witness =
            grouped || (matches!(grouping, Grouping::None) && having.is_none() && !aggregates);
        let exprs = items.iter().filter_map(|item| match item {
            Item::Expr { expr, label: _ } => Some(expr),
            Item::Wildcard | Item::QualifiedWildcard(_) => None,
        });
        let (mut open, computed) = self.given(exprs, &scope);
        open.extend(level.references.iter().filter(|it| self.graph.exposes(**it)));
        let open = open.into_iter().collect();
        let (comes_out, against) = (true, Vec::new());
        Arm { context, columns, keys, closed, comes_out, against, witness, open, computed }
    }

    fn window_parts(&mut self, window: &Window, scope: &Scope<'_>, context: ContextId) {
        for expr in window.partition.iter().chain(&window.inside) {
            self.walk(expr, scope, context, Clause::Value);
        }
    }

    /// A select list or RETURNING, and what comes out of it.
    pub(super) fn items(
        &mut self,
        items: &[Item],
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<ArmColumn> {
        let mut columns = Vec::with_capacity(items.len());
        // After any number of columns of any name no position is known.
        let mut lost = false;
        for item in items {
            match item {
                Item::Expr { expr, label } => {
                    self.walk(expr, scope, context, Clause::Value);
                    let term = self.term(expr, scope);
                    if !lost {
                        columns.push(ArmColumn::One {
                            name: label.as_ref().map(|label| label.text.clone()),
                            term,
                        });
                    }
                }
                Item::Wildcard if lost => {}
                Item::Wildcard => {
                    // USING and NATURAL merge columns, so positions are not known.
                    columns.extend(
                        scope.references.iter().map(|reference| ArmColumn::Rest(*reference)),
                    );
                }
                Item::QualifiedWildcard(parts) => {
                    let reference = match parts.as_slice() {
                        [alias] => self.by_alias(&alias.text, scope),
                        [schema, table] => self.by_table(&schema.text, &table.text, scope),
                        _ => None,
                    };
                    match reference {
                        Some(reference) if !lost => columns.push(ArmColumn::Rest(reference)),
                        Some(_) => {}
                        None => lost = true,
                    }
                }
            }
        }
        columns
    }

    /// Grouping keys as terms; a number is the position of an item.
    fn keys(
        &mut self,
        exprs: &[Expr],
        columns: &[ArmColumn],
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Term> {
        let mut keys = Vec::new();
        for expr in exprs {
            self.walk(expr, scope, context, Clause::Value);
            let parts = match expr {
                Expr::Row(parts) => parts.as_slice(),
                single => std::slice::from_ref(single),
            };
            for part in parts {
                let term = match part {
                    Expr::Constant(Constant::Number(digits)) => ordinal(digits.read(), columns),
                    other => self.term(other, scope),
                };
                keys.extend(term);
            }
        }
        keys
    }

    /// The columns of GROUPING SETS, ROLLUP and CUBE.
    fn set_keys(&mut self, exprs: &[Expr], scope: &Scope<'_>) -> Vec<Term> {
        let mut keys = Vec::new();
        let mut next: Vec<&Expr> = exprs.iter().collect();
        while let Some(expr) = next.pop() {
            match expr {
                Expr::Column(_) => keys.extend(self.term(expr, scope)),
                other => other.parts(&mut |part| next.push(part), &mut |_| {}),
            }
        }
        keys
    }

    /// DISTINCT ON keys, of which a bare name means an item's label before it means a column
    /// (documentation, SELECT, "DISTINCT Clause": interpreted as ORDER BY is).
    fn distinct_keys(
        &mut self,
        exprs: &[Expr],
        items: &[Item],
        columns: &[ArmColumn],
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Term> {
        let labelled = |expr: &Expr| {
            let Expr::Column(parts) = expr else {
                return false;
            };
            matches!(parts.as_slice(), [name] if items.iter().any(|item| {
                matches!(item, Item::Expr { expr, label: Some(label) }
                    if label.text == name.text
                        && !matches!(expr, Expr::Column(own) if own.last().is_some_and(|own| own.text == name.text)))
            }))
        };
        if exprs.iter().any(labelled) {
            for expr in exprs {
                self.walk(expr, scope, context, Clause::Value);
            }
            return Vec::new();
        }
        self.keys(exprs, columns, scope, context)
    }

    /// Whether an expression may hold an aggregate, other than as a window function.
    fn may_aggregate(&self, expr: &Expr) -> bool {
        let mut found = match expr {
            Expr::Call(call) => self.may_be_aggregate(call),
            _ => false,
        };
        expr.parts(&mut |part| found = found || self.may_aggregate(part), &mut |_| {});
        found
    }

    /// Whether a call may be an aggregate: one of PostgreSQL's own, or one of which nothing is known.
    pub(super) fn may_be_aggregate(&self, call: &Call) -> bool {
        let schema = call.qualifier.last().map(|schema| &*schema.text);
        call.over.is_none()
            && (is_aggregate(&call.name.text)
                || self.policy.routines.class(schema, &call.name.text) == Routine::Unknown
                || self.policy.routines.allowed.contains(&call.name.text))
    }
}

fn ordinal(digits: &str, columns: &[ArmColumn]) -> Option<Term> {
    let index = digits.parse::<usize>().ok()?.checked_sub(1)?;
    let before = columns.get(..=index)?;
    if before.iter().any(|column| matches!(column, ArmColumn::Rest(_))) {
        return None;
    }
    match before.last()? {
        ArmColumn::One { term, name: _ } => *term,
        ArmColumn::Rest(_) => None,
    }
}

/// Whether a fact is false of a NULL.
fn is_strict(fact: &Fact) -> bool {
    match fact {
        Fact::Equal(..) | Fact::Member(..) => true,
        Fact::Null(_) => false,
        Fact::Any(arms) => arms.iter().all(|arm| arm.iter().all(is_strict)),
    }
}

/// Whether a fact speaks of grouping keys alone, so that it may be moved below the grouping.
fn is_about(fact: &Fact, keys: &[Term]) -> bool {
    match fact {
        Fact::Equal(left, right) => [left, right].into_iter().all(|term| match term {
            Term::Column(_) => keys.contains(term),
            Term::Operand(_) => true,
        }),
        Fact::Null(column) => keys.contains(&Term::Column(*column)),
        Fact::Member(column, _, _) => keys.contains(&Term::Column(*column)),
        Fact::Any(arms) => arms.iter().flatten().all(|fact| is_about(fact, keys)),
    }
}

/// The PARTITION BY of every window that an expression uses.
fn over<'q>(expr: &'q Expr, windows: &'q [Window], partitions: &mut Vec<Vec<&'q Expr>>) {
    if let Expr::Call(call) = expr
        && let Some(window) = &call.over
    {
        let base = window.base.as_ref().and_then(|base| {
            windows
                .iter()
                .find(|named| named.name.as_ref().is_some_and(|name| name.text == base.text))
        });
        let named = base.into_iter().flat_map(|base| &base.partition);
        partitions.push(named.chain(&window.partition).collect());
    }
    expr.parts(&mut |part| over(part, windows, partitions), &mut |_| {});
}

/// Whether PostgreSQL itself has an aggregate of this name.
pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Aggregates of `pg_catalog` (`pg_proc.prokind = 'a'`).
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "every",
    "json_agg",
    "json_agg_strict",
    "json_arrayagg",
    "json_object_agg",
    "json_objectagg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "rank",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "json_object_agg_unique_strict",
    "jsonb_agg_strict",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "grouping",
];
