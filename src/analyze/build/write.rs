//! INSERT, UPDATE and DELETE; what MERGE has in common with them.

use super::super::graph::{
    Arm, ArmColumn, ContextId, Fact, Obligation, Operand, OutputId, Reference, ReferenceId,
    Source as GraphSource, Term, Written, WrittenValue,
};
use super::super::verdict::Rule;
use super::join::{Level, Tree};
use super::relation::Meaning;
use super::{Builder, Clause, Scope, sole_row};
use crate::policy::Write as WriteKind;
use crate::sql::model::{
    Assignment, Body, Conflict, ConflictUpdate, Delete, Expr, Insert, Item, JoinTree, Name, Query,
    Target, Update, Write,
};

impl Builder<'_> {
    /// A write, and what RETURNING gives out of it.
    pub(super) fn write(&mut self, write: &Write, outer: &Scope<'_>) -> Arm {
        match write {
            Write::Insert(insert) => self.insert(insert, outer),
            Write::Update(Update { target, assignments, from, filter, returning }) => {
                self.change(target, from, filter.as_ref(), assignments, returning, outer)
            }
            Write::Delete(Delete { target, using, filter, returning }) => {
                self.change(target, using, filter.as_ref(), &[], returning, outer)
            }
            Write::Merge(merge) => self.merge(merge, outer),
        }
    }

    /// A write's target is never a CTE.
    pub(super) fn target(&mut self, target: &Target, context: ContextId) -> ReferenceId {
        let Target { qualifier, name, alias } = target;
        if &*name.text == "pg_settings" {
            self.violate(
                Rule::SessionEscape,
                Some(&name.text),
                name.span,
                "a write to pg_settings sets a setting".to_owned(),
                "use SET",
            );
        }
        let Meaning { source, columns } = self.relation_written(qualifier, name);
        self.graph.reference(Reference {
            alias: alias.as_ref().map_or_else(|| name.text.clone(), |alias| alias.text.clone()),
            aliased: alias.is_some(),
            table: name.text.clone(),
            schema: qualifier.last().map(|schema| schema.text.clone()),
            span: name.span,
            source,
            context,
            aliases: Vec::new(),
            columns,
        })
    }

    pub(super) fn tenant_column(&self, reference: ReferenceId) -> Option<Box<str>> {
        match self.source_of(reference)? {
            GraphSource::Guarded(guarded) => Some(guarded.tenant.clone()),
            GraphSource::Unknown | GraphSource::Output(_) | GraphSource::Recursion(_) => None,
        }
    }

    fn change(
        &mut self,
        target: &Target,
        from: &[JoinTree],
        filter: Option<&Expr>,
        assignments: &[Assignment],
        returning: &[Item],
        outer: &Scope<'_>,
    ) -> Arm {
        let context = self.graph.context(None, Vec::new());
        let own = self.graph.context(None, Vec::new());
        let reference = self.target(target, own);
        let set = columns_set(assignments);
        let (write, set) = if assignments.is_empty() {
            (WriteKind::Delete, None)
        } else {
            (WriteKind::Update, Some(&*set))
        };
        self.set_off(target, write, set);
        self.owe(reference, false);
        if assignments.is_empty() {
            self.hard_delete(target);
        }
        let level = Level { references: vec![reference], ..Level::default() };
        // FROM and USING items do not see the target, save in LATERAL ones.
        let (mut trees, level) = self.from(from, level, Some(outer));
        trees.push(Tree::Leaf(reference));
        let scope = level.scope(Some(outer));
        if let Some(filter) = filter {
            self.early(filter, &scope);
            let facts = self.predicate(filter, true, &scope, context);
            self.graph.add_facts(context, facts);
        }
        self.place(&mut trees, context, filter.map(|filter| (filter, &level)), Some(outer));
        self.assignments(assignments, target, reference, &scope, context);
        let columns = self.items(returning, &scope, context);
        Arm::of(context, columns)
    }

    /// DELETE of a table whose rows the policy wants soft-deleted: its own or, by the catalogue,
    /// that of one with which it shares rows.
    pub(super) fn hard_delete(&mut self, target: &Target) {
        let tables = &self.policy.tables;
        let refuses = |name: &str| tables.guard(name).is_some_and(|guard| !guard.hard_delete);
        let Target { qualifier, name, alias: _ } = target;
        let mut refused = refuses(&name.text);
        if let Some(catalog) = &self.policy.catalog
            && let Some((full, _)) = self.look_up(catalog, qualifier, name)
        {
            let family = catalog.family(&full);
            let named = family.iter().any(|member| tables.guard(&member.name).is_some());
            refused = refused
                || family.iter().any(|member| refuses(&member.name))
                || (!named && catalog.is_guarded(&full) && !tables.hard_delete);
        }
        if refused {
            self.violate(
                Rule::HardDelete,
                Some(&name.text),
                name.span,
                "DELETE removes rows that are only to be soft-deleted".to_owned(),
                "set the soft-delete column instead",
            );
        }
    }

    /// SET: every new value of the tenant column must be the tenant.
    pub(super) fn assignments(
        &mut self,
        assignments: &[Assignment],
        target: &Target,
        reference: ReferenceId,
        scope: &Scope<'_>,
        context: ContextId,
    ) {
        let tenant = self.tenant_column(reference);
        for Assignment { columns, value } in assignments {
            let position = columns.iter().position(|column| tenant.as_ref() == Some(&column.text));
            let written = match (value, position) {
                (Expr::Subquery(query), Some(position)) => {
                    let output = self.query(query, context, Some(scope));
                    // One without a row gives NULL, which is no tenant.
                    sole_row(query).map(|_| WrittenValue::Output(output, position))
                }
                (value, None) => {
                    self.walk(value, scope, context, Clause::Value);
                    continue;
                }
                (value, Some(position)) => {
                    self.walk(value, scope, context, Clause::Value);
                    let value = match value {
                        Expr::Row(parts) if columns.len() > 1 => parts.get(position),
                        single if columns.len() == 1 => Some(single),
                        _ => None,
                    };
                    value.and_then(|value| self.term(value, scope)).map(WrittenValue::Term)
                }
            };
            self.graph.obligations.push(Obligation::Kept {
                table: target.name.text.clone(),
                span: target.name.span,
                column: tenant.clone().unwrap_or_default(),
                value: Written { context, value: written },
            });
        }
    }

    fn insert(&mut self, insert: &Insert, outer: &Scope<'_>) -> Arm {
        let Insert { target, columns, source, conflict, returning } = insert;
        let context = self.graph.context(None, Vec::new());
        // The target is written, not read: it owes the values written instead of a predicate.
        let reference = self.target(target, context);
        self.set_off(target, WriteKind::Insert, None);
        let tenant = self.tenant_column(reference);
        let position = self.tenant_position(target, columns, tenant.as_deref());
        let default = self.tenant_default(target, tenant.as_deref());
        let values = self.written(source.as_ref(), position, default, outer);
        if !columns.is_empty() {
            self.count_stars(&values, columns.len());
        }
        if let Some(tenant) = &tenant {
            self.owe_written(target, tenant, &values);
            // RETURNING shows the rows written.
            let column = self.graph.column(reference, tenant);
            let facts = self.new_rows(column, &values);
            self.graph.add_facts(context, facts);
        }
        let scope = Scope { references: vec![reference], ..Scope::inside(Some(outer)) };
        if let Some(conflict) = conflict
            && let Some(update) = &conflict.update
        {
            self.conflict_update(target, conflict, update, &values, outer);
        }
        let columns = self.items(returning, &scope, context);
        Arm::of(context, columns)
    }

    /// Where the tenant column stands among the columns of INSERT, which are the table's own if
    /// none is named.
    pub(super) fn tenant_position(
        &self,
        target: &Target,
        columns: &[Name],
        tenant: Option<&str>,
    ) -> Option<usize> {
        let Target { qualifier, name, alias: _ } = target;
        let all = if columns.is_empty() { self.written_columns(qualifier, name) } else { None };
        match all {
            Some(all) => all.iter().position(|name| tenant == Some(&**name)),
            None => columns.iter().position(|name| tenant == Some(&*name.text)),
        }
    }

    /// Every row written owes the tenant.
    pub(super) fn owe_written(&mut self, target: &Target, tenant: &str, values: &[Written]) {
        self.graph.obligations.push(Obligation::Written {
            table: target.name.text.clone(),
            span: target.name.span,
            column: tenant.into(),
            values: values.to_vec(),
        });
    }

    /// What a tenant column gets that no row names, or that says DEFAULT.
    pub(super) fn tenant_default(
        &mut self,
        target: &Target,
        tenant: Option<&str>,
    ) -> Option<WrittenValue> {
        let Target { qualifier, name, alias: _ } = target;
        self.default_is_tenant(qualifier, name, tenant?).map(WrittenValue::Term)
    }

    /// A value of VALUES for the tenant column.
    pub(super) fn written_value(
        &mut self,
        value: &Expr,
        default: Option<WrittenValue>,
        scope: &Scope<'_>,
    ) -> Option<WrittenValue> {
        match value {
            Expr::Default => default,
            other => self.term(other, scope).map(WrittenValue::Term),
        }
    }

    /// The values of the tenant column, one for each row of VALUES or one for a whole query.
    fn written(
        &mut self,
        source: Option<&Query>,
        position: Option<usize>,
        default: Option<WrittenValue>,
        outer: &Scope<'_>,
    ) -> Vec<Written> {
        let context = self.graph.context(None, Vec::new());
        match source {
            None => vec![Written { context, value: default }],
            Some(Query { with, body: Body::Values(rows), order_by, limits, .. })
                if with.is_empty() && order_by.is_empty() && limits.is_empty() =>
            {
                let mut values = Vec::with_capacity(rows.len());
                for row in rows {
                    for value in row {
                        self.walk(value, outer, context, Clause::Value);
                    }
                    let value = match position {
                        None => default,
                        Some(position) => row
                            .get(position)
                            .and_then(|value| self.written_value(value, default, outer)),
                    };
                    values.push(Written { context, value });
                }
                values
            }
            Some(query) => {
                let output = self.query(query, context, Some(outer));
                let value = match position {
                    None => default,
                    Some(position) => Some(WrittenValue::Output(output, position)),
                };
                vec![Written { context, value }]
            }
        }
    }

    /// INSERT with a list of columns wants as many expressions, no more and no fewer
    /// (`parse_target.c`, `transformInsertRow`), so a single star has as many columns as are left:
    /// those of the query that it stands for, if that has as many.
    fn count_stars(&mut self, values: &[Written], named: usize) {
        let outputs = values.iter().filter_map(|written| match written.value {
            Some(WrittenValue::Output(output, _)) => Some(output),
            Some(WrittenValue::Term(_)) | None => None,
        });
        for output in outputs {
            let arms = self.graph.outputs.get(output).map_or(0, |output| output.arms.len());
            for arm in 0..arms {
                self.count_star(output, arm, named);
            }
        }
    }

    fn count_star(&mut self, output: OutputId, arm: usize, named: usize) {
        let arms = self.graph.outputs.get(output).map(|output| &output.arms);
        let Some(columns) = arms.and_then(|arms| arms.get(arm)).map(|arm| &arm.columns) else {
            return;
        };
        let mut stars = columns.iter().enumerate().filter_map(|(at, column)| match column {
            ArmColumn::Rest(reference) => Some((at, *reference)),
            ArmColumn::One { .. } => None,
        });
        let (Some((star, reference)), None) = (stars.next(), stars.next()) else {
            return;
        };
        let Some(width) = named.checked_sub(columns.len().saturating_sub(1)) else {
            return;
        };
        let nothing = ArmColumn::One { name: None, term: None };
        let known = self.unnested_columns(reference).filter(|known| known.len() == width);
        let expanded = known.unwrap_or_else(|| vec![nothing; width]);
        let arms = self.graph.outputs.get_mut(output).map(|output| &mut output.arms);
        if let Some(arm) = arms.and_then(|arms| arms.get_mut(arm)) {
            arm.columns.splice(star..=star, expanded);
        }
    }

    /// ON CONFLICT DO UPDATE changes a row that is there already: it owes what an UPDATE owes.
    fn conflict_update(
        &mut self,
        target: &Target,
        conflict: &Conflict,
        update: &ConflictUpdate,
        values: &[Written],
        outer: &Scope<'_>,
    ) {
        let context = self.graph.context(None, Vec::new());
        let reference = self.target(target, context);
        let set = columns_set(&update.assignments);
        self.set_off(target, WriteKind::Update, Some(&set));
        self.owe(reference, true);
        let excluded = self.graph.reference(Reference {
            alias: "excluded".into(),
            aliased: true,
            table: "excluded".into(),
            schema: None,
            span: target.name.span,
            source: GraphSource::Unknown,
            context,
            aliases: Vec::new(),
            columns: None,
        });
        if let Some(tenant) = self.tenant_column(reference) {
            let new = self.graph.column(excluded, &tenant);
            let facts = self.new_rows(new, values);
            self.graph.add_facts(context, facts);
            // A conflict on an index with the tenant column is with a row of the same tenant.
            if self.arbiter_has(target, conflict, &tenant) {
                let old = self.graph.column(reference, &tenant);
                self.graph
                    .add_facts(context, vec![Fact::Equal(Term::Column(old), Term::Column(new))]);
            }
        }
        let scope = Scope { references: vec![reference, excluded], ..Scope::inside(Some(outer)) };
        let ConflictUpdate { assignments, filter } = update;
        if let Some(filter) = filter {
            self.early(filter, &scope);
            let facts = self.conflict_predicate(filter, &scope, context);
            self.graph.add_facts(context, facts);
        }
        self.assignments(assignments, target, reference, &scope, context);
    }

    /// Whether a conflict is surely on an index with this column among its keys. PostgreSQL takes
    /// an index whose keys are just the columns named (documentation, INSERT); which index a
    /// constraint is, only the catalogue knows.
    fn arbiter_has(&self, target: &Target, conflict: &Conflict, column: &str) -> bool {
        let Conflict { arbiter, constraint, update: _ } = conflict;
        let found = self.policy.catalog.as_ref().map(|catalog| {
            let found = self.look_up(catalog, &target.qualifier, &target.name);
            found.map_or(&[][..], |(_, relation)| &relation.unique)
        });
        let named = arbiter.iter().any(|name| &*name.text == column);
        match (constraint, found) {
            (None, None) => named,
            (None, Some(unique)) => {
                named
                    && unique.iter().any(|index| {
                        index.columns.as_ref().is_some_and(|keys| {
                            keys.iter().all(|key| arbiter.iter().any(|name| name.text == *key))
                                && arbiter.iter().all(|name| keys.contains(&name.text))
                        })
                    })
            }
            (Some(_), None) => false,
            (Some(constraint), Some(unique)) => unique.iter().any(|index| {
                index.name == constraint.text
                    && index
                        .columns
                        .as_ref()
                        .is_some_and(|keys| keys.iter().any(|key| **key == *column))
            }),
        }
    }

    /// What the tenant column of a new row is: one of the values written.
    fn new_rows(&mut self, column: usize, values: &[Written]) -> Vec<Fact> {
        let mut operands: Vec<Operand> = Vec::new();
        let mut outputs: Vec<(OutputId, usize)> = Vec::new();
        for Written { context: _, value } in values {
            match value {
                Some(WrittenValue::Term(Term::Operand(id))) => {
                    operands.extend(self.graph.operands.get(*id).cloned());
                }
                Some(WrittenValue::Output(output, position)) => outputs.push((*output, *position)),
                Some(WrittenValue::Term(Term::Column(_))) | None => return Vec::new(),
            }
        }
        match (operands.is_empty(), outputs.as_slice()) {
            (false, []) => {
                let all = self.graph.operand(Operand::All(operands));
                vec![Fact::Equal(Term::Column(column), Term::Operand(all))]
            }
            (true, [(output, position)]) => vec![Fact::Member(column, *output, *position)],
            (_, _) => Vec::new(),
        }
    }
}

/// The columns that SET names.
pub(super) fn columns_set(assignments: &[Assignment]) -> Vec<Box<str>> {
    assignments.iter().flat_map(|one| &one.columns).map(|name| name.text.clone()).collect()
}
