use sqlparser::ast::{
    self, AssignmentTarget, ConflictTarget, DoUpdate, FromTable, OnConflict, OnConflictAction,
    OnInsert, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind,
};

use super::{Lowered, Lowering};
use crate::sql::model::{
    Assignment, Body, Conflict, ConflictUpdate, Delete, Expr, Insert, Item, Name, Query, Target,
    Update, Write,
};

/// A write as the body of a query without anything around it.
pub(super) fn as_query(write: Write) -> Query {
    Query {
        with: Vec::new(),
        recursive: false,
        body: Body::Write(Box::new(write)),
        order_by: Vec::new(),
        limits: Vec::new(),
        limited: false,
    }
}

impl Lowering<'_> {
    pub(super) fn insert(&mut self, insert: ast::Insert) -> Lowered<Write> {
        let ast::Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        self.absent(
            optimizer_hints.is_empty()
                && or.is_none()
                && !ignore
                && into
                && !overwrite
                && assignments.is_empty()
                && partitioned.is_none()
                && after_columns.is_empty()
                && !has_table_keyword
                && output.is_none()
                && !replace_into
                && priority.is_none()
                && insert_alias.is_none()
                && settings.is_none()
                && format_clause.is_none()
                && multi_table_insert_type.is_none()
                && multi_table_into_clauses.is_empty()
                && multi_table_when_clauses.is_empty()
                && multi_table_else_clause.is_none(),
            "an INSERT clause that PostgreSQL does not have",
        )?;
        let TableObject::TableName(table) = table else {
            return self.refuse("an INSERT into something that is not a table");
        };
        let (qualifier, name) = self.qualified(&table)?;
        let alias = table_alias
            .map(
                |ast::TableAliasWithoutColumns { explicit, alias }| {
                    if explicit { self.name(&alias) } else { self.label(&alias) }
                },
            )
            .transpose()?;
        let columns = self.inserted(&columns)?;
        let source = source.map(|source| self.query(*source)).transpose()?;
        let conflict = match on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => Some(self.conflict(conflict)?),
            Some(_) => return self.refuse("ON DUPLICATE KEY"),
        };
        let returning = self.returning(returning)?;
        let target = Target { qualifier, name, alias };
        Ok(Write::Insert(Insert { target, columns, source, conflict, returning }))
    }

    fn conflict(&mut self, conflict: OnConflict) -> Lowered<Conflict> {
        let OnConflict { conflict_target, action } = conflict;
        let (arbiter, constraint) = match conflict_target {
            None => (Vec::new(), None),
            Some(ConflictTarget::Columns(columns)) => (self.names(&columns)?, None),
            Some(ConflictTarget::OnConstraint(name)) => {
                (Vec::new(), Some(self.qualified(&name)?.1))
            }
        };
        let update = match action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(DoUpdate { assignments, selection }) => {
                Some(ConflictUpdate {
                    assignments: self.assignments(assignments)?,
                    filter: selection.map(|filter| self.expr(filter)).transpose()?,
                })
            }
        };
        Ok(Conflict { arbiter, constraint, update })
    }

    pub(super) fn update(&mut self, update: ast::Update) -> Lowered<Write> {
        let ast::Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        self.absent(
            optimizer_hints.is_empty()
                && output.is_none()
                && or.is_none()
                && order_by.is_empty()
                && limit.is_none(),
            "an UPDATE clause that PostgreSQL does not have",
        )?;
        let target = self.target(table)?;
        let assignments = self.assignments(assignments)?;
        let from = match from {
            None => Vec::new(),
            Some(UpdateTableFromKind::AfterSet(from)) => self.from(from)?,
            Some(UpdateTableFromKind::BeforeSet(_)) => return self.refuse("FROM before SET"),
        };
        let filter = selection.map(|filter| self.expr(filter)).transpose()?;
        let returning = self.returning(returning)?;
        Ok(Write::Update(Update { target, assignments, from, filter, returning }))
    }

    pub(super) fn delete(&mut self, delete: ast::Delete) -> Lowered<Write> {
        let ast::Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        self.absent(
            optimizer_hints.is_empty()
                && tables.is_empty()
                && output.is_none()
                && order_by.is_empty()
                && limit.is_none(),
            "a DELETE clause that PostgreSQL does not have",
        )?;
        let FromTable::WithFromKeyword(from) = from else {
            return self.refuse("DELETE without FROM");
        };
        let mut from = from.into_iter();
        let target = match (from.next(), from.next()) {
            (Some(table), None) => self.target(table)?,
            (_, _) => return self.refuse("DELETE from several tables"),
        };
        let using = self.from(using.unwrap_or_default())?;
        let filter = selection.map(|filter| self.expr(filter)).transpose()?;
        let returning = self.returning(returning)?;
        Ok(Write::Delete(Delete { target, using, filter, returning }))
    }

    /// The column list of INSERT.
    pub(super) fn inserted(&mut self, columns: &[ast::ObjectName]) -> Lowered<Vec<Name>> {
        columns
            .iter()
            .map(|column| match self.qualified(column)? {
                (qualifier, name) if qualifier.is_empty() => Ok(name),
                (_, _) => self.refuse("a part of a column in INSERT"),
            })
            .collect()
    }

    fn target(&mut self, table: TableWithJoins) -> Lowered<Target> {
        let TableWithJoins { relation, joins } = table;
        self.absent(joins.is_empty(), "a join as the target of a write")?;
        self.target_factor(relation)
    }

    pub(super) fn target_factor(&mut self, relation: TableFactor) -> Lowered<Target> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = relation
        else {
            return self.refuse("a write to something that is not a table");
        };
        self.absent(
            with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty(),
            "a table clause that PostgreSQL does not have",
        )?;
        let (qualifier, name) = self.qualified(&name)?;
        let alias = match alias {
            None => None,
            Some(alias) => {
                let (alias, columns) = self.table_alias(alias)?;
                self.absent(columns.is_empty(), "column aliases on the target of a write")?;
                Some(alias)
            }
        };
        Ok(Target { qualifier, name, alias })
    }

    fn returning(&mut self, returning: Option<Vec<ast::SelectItem>>) -> Lowered<Vec<Item>> {
        self.items(returning.unwrap_or_default())
    }

    pub(super) fn assignments(
        &mut self,
        assignments: Vec<ast::Assignment>,
    ) -> Lowered<Vec<Assignment>> {
        assignments
            .into_iter()
            .map(|ast::Assignment { target, value }| {
                let columns = match target {
                    AssignmentTarget::ColumnName(name) => vec![self.assigned(&name)?],
                    AssignmentTarget::Tuple(names) => {
                        names.iter().map(|name| self.assigned(name)).collect::<Lowered<_>>()?
                    }
                };
                Ok(Assignment { columns, value: self.value_or_default(value)? })
            })
            .collect()
    }

    fn assigned(&mut self, name: &ast::ObjectName) -> Lowered<Name> {
        match self.qualified(name)? {
            (qualifier, name) if qualifier.is_empty() => Ok(name),
            (_, _) => self.refuse("SET of a part of a column"),
        }
    }

    /// A value of VALUES or SET, where DEFAULT may stand.
    pub(super) fn value_or_default(&mut self, value: ast::Expr) -> Lowered<Expr> {
        match value {
            ast::Expr::Identifier(ident)
                if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") =>
            {
                Ok(Expr::Default)
            }
            ast::Expr::Tuple(parts) => parts
                .into_iter()
                .map(|part| self.value_or_default(part))
                .collect::<Lowered<_>>()
                .map(Expr::Row),
            value => self.expr(value),
        }
    }
}
