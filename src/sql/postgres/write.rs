use pg_raw_parse::raw::{CmdType, MergeMatchKind, OnConflictAction};
use pg_raw_parse::{Node, nodes};

use super::{Lowered, Lowering};
use crate::sql::model::{
    Assignment, Body, Conflict, ConflictUpdate, Delete, Expr, Insert, Item, Merge, MergeAction,
    MergeClause, MergeRows, Name, Query, Target, Update, Write,
};

impl Lowering<'_> {
    pub(super) fn insert(&mut self, insert: &nodes::InsertStmt) -> Lowered<Query> {
        self.around(insert.with_clause(), |lowering| {
            let target = lowering.target(insert.relation())?;
            let columns = lowering.inserted(insert.cols())?;
            let source = match insert.select_stmt() {
                Node::None => None,
                source => Some(lowering.any_query(source)?),
            };
            let conflict =
                insert.on_conflict_clause().map(|it| lowering.conflict(it)).transpose()?;
            let returning = lowering.returning(insert.returning_clause())?;
            let insert = Insert { target, columns, source, conflict, returning };
            Ok(Body::Write(Box::new(Write::Insert(insert))))
        })
    }

    pub(super) fn update(&mut self, update: &nodes::UpdateStmt) -> Lowered<Query> {
        self.around(update.with_clause(), |lowering| {
            let target = lowering.target(update.relation())?;
            let assignments = lowering.assignments(update.target_list())?;
            let from = lowering.from(update.from_clause())?;
            let filter = lowering.optional(update.where_clause())?;
            let returning = lowering.returning(update.returning_clause())?;
            let update = Update { target, assignments, from, filter, returning };
            Ok(Body::Write(Box::new(Write::Update(update))))
        })
    }

    pub(super) fn delete(&mut self, delete: &nodes::DeleteStmt) -> Lowered<Query> {
        self.around(delete.with_clause(), |lowering| {
            let target = lowering.target(delete.relation())?;
            let using = lowering.from(delete.using_clause())?;
            let filter = lowering.optional(delete.where_clause())?;
            let returning = lowering.returning(delete.returning_clause())?;
            let delete = Delete { target, using, filter, returning };
            Ok(Body::Write(Box::new(Write::Delete(delete))))
        })
    }

    pub(super) fn merge(&mut self, merge: &nodes::MergeStmt) -> Lowered<Query> {
        self.around(merge.with_clause(), |lowering| {
            let target = lowering.target(merge.relation())?;
            let source = lowering.joined(merge.source_relation())?;
            let on = lowering.expr(merge.join_condition())?;
            let clauses = merge
                .merge_when_clauses()
                .iter()
                .map(|clause| lowering.merge_clause(clause))
                .collect::<Lowered<_>>()?;
            let returning = lowering.returning(merge.returning_clause())?;
            let merge = Merge { target, source, on, clauses, returning };
            Ok(Body::Write(Box::new(Write::Merge(merge))))
        })
    }

    fn merge_clause(&mut self, clause: &nodes::MergeWhenClause) -> Lowered<MergeClause> {
        let rows = match clause.match_kind {
            MergeMatchKind::MERGE_WHEN_MATCHED => MergeRows::Matched,
            MergeMatchKind::MERGE_WHEN_NOT_MATCHED_BY_SOURCE => MergeRows::NotMatchedBySource,
            MergeMatchKind::MERGE_WHEN_NOT_MATCHED_BY_TARGET => MergeRows::NotMatchedByTarget,
            _ => return self.refuse("a WHEN clause of a kind that is not known"),
        };
        let condition = self.optional(clause.condition())?;
        let action = match clause.command_type {
            CmdType::CMD_UPDATE => {
                let targets = targets(clause.target_list());
                let Some(targets) = targets else {
                    return self.refuse("an UPDATE of MERGE that is not read");
                };
                MergeAction::Update(self.assignments(targets)?)
            }
            CmdType::CMD_INSERT => {
                let columns = self.inserted(clause.target_list())?;
                let values = self.exprs(clause.values())?;
                // DEFAULT VALUES gives no value at all.
                let values = (!values.is_empty()).then_some(values);
                MergeAction::Insert { columns, values }
            }
            CmdType::CMD_DELETE => MergeAction::Delete,
            CmdType::CMD_NOTHING => MergeAction::Nothing,
            _ => return self.refuse("an action of MERGE that is not known"),
        };
        Ok(MergeClause { rows, condition, action })
    }

    fn target(&mut self, relation: Option<&nodes::RangeVar>) -> Lowered<Target> {
        let Some(relation) = relation else {
            return self.refuse("a write without a table");
        };
        let (qualifier, name) = self.relation_name(relation)?;
        let (alias, columns) = self.alias(relation.alias())?;
        self.absent(columns.is_empty(), "column aliases on the target of a write")?;
        Ok(Target { qualifier, name, alias })
    }

    /// The column list of INSERT.
    fn inserted<'t>(&mut self, list: impl IntoIterator<Item = Node<'t>>) -> Lowered<Vec<Name>> {
        list.into_iter()
            .map(|column| {
                let Node::ResTarget(column) = column else {
                    return self.refuse("a column of INSERT that is not read");
                };
                let text = self.text(column.name())?;
                let name = self.places.one(text, column.location);
                if column.indirection().is_empty() {
                    return Ok(name);
                }
                // A part of a column is not the column: nothing is known to be written to it.
                self.subscripts(column.indirection(), &mut Vec::new())?;
                Ok(Name { text: "".into(), span: name.span })
            })
            .collect()
    }

    fn conflict(&mut self, conflict: &nodes::OnConflictClause) -> Lowered<Conflict> {
        let (mut arbiter, mut constraint) = (Vec::new(), None);
        if let Some(infer) = conflict.infer() {
            for element in infer.index_elems() {
                let Node::IndexElem(element) = element else {
                    return self.refuse("a conflict target that is not read");
                };
                let own = element.collation().is_empty() && element.opclass().is_empty();
                self.loose_names(element.collation())?;
                self.loose_names(element.opclass())?;
                match element.name().map(|name| self.places.loose(name)) {
                    // Of an index with another equality nothing follows for the column.
                    Some(name) if own => arbiter.push(name),
                    Some(_) => {}
                    None => self.unused(element.expr())?,
                }
            }
            constraint = infer.conname().map(|name| self.places.loose(name));
            // The predicate of a partial index: whatever row conflicts is in it.
            self.unused(infer.where_clause())?;
        }
        let update = match conflict.action {
            OnConflictAction::ONCONFLICT_NOTHING => None,
            OnConflictAction::ONCONFLICT_UPDATE => Some(ConflictUpdate {
                assignments: self.assignments(conflict.target_list())?,
                filter: self.optional(conflict.where_clause())?,
            }),
            _ => return self.refuse("a conflict action that is not known"),
        };
        Ok(Conflict { arbiter, constraint, update })
    }

    fn returning(&mut self, returning: Option<&nodes::ReturningClause>) -> Lowered<Vec<Item>> {
        let Some(returning) = returning else {
            return Ok(Vec::new());
        };
        // OLD and NEW under names of the user's own (18): what they mean is not in the model.
        self.absent(returning.options().is_empty(), "RETURNING WITH")?;
        returning
            .exprs()
            .iter()
            .map(|item| match item {
                Node::ResTarget(item) => self.item(item),
                _ => self.refuse("an item of RETURNING that is not read"),
            })
            .collect()
    }

    /// SET. A tuple's columns stand one behind the other and share their source.
    fn assignments<'t>(
        &mut self,
        targets: impl IntoIterator<Item = &'t nodes::ResTarget>,
    ) -> Lowered<Vec<Assignment>> {
        let mut assignments: Vec<Assignment> = Vec::new();
        let mut awaited = 0_i32;
        for target in targets {
            let text = self.text(target.name())?;
            let name = self.places.one(text, target.location);
            let mut parts = Vec::new();
            self.subscripts(target.indirection(), &mut parts)?;
            let whole = target.indirection().is_empty();
            match target.val() {
                Node::MultiAssignRef(multi) if multi.colno > 1 && awaited > 0 => {
                    self.absent(whole, "a part of a column in a tuple of SET")?;
                    awaited = awaited.saturating_sub(1);
                    if let Some(last) = assignments.last_mut() {
                        last.columns.push(name);
                    }
                }
                Node::MultiAssignRef(multi) if multi.colno == 1 && awaited == 0 => {
                    self.absent(whole, "a part of a column in a tuple of SET")?;
                    awaited = multi.ncolumns.saturating_sub(1);
                    let value = self.expr(multi.source())?;
                    assignments.push(Assignment { columns: vec![name], value });
                }
                value if awaited == 0 => {
                    let value = self.expr(value)?;
                    // A part of a column: what the column is then is not known.
                    let value = if whole {
                        value
                    } else {
                        parts.push(value);
                        Expr::Opaque(parts)
                    };
                    assignments.push(Assignment { columns: vec![name], value });
                }
                _ => return self.refuse("a tuple of SET that is not read"),
            }
        }
        self.absent(awaited == 0, "a tuple of SET that is not read")?;
        Ok(assignments)
    }
}

/// The entries of a SET list.
fn targets(list: &pg_raw_parse::list::NodeList) -> Option<Vec<&nodes::ResTarget>> {
    list.iter()
        .map(|target| match target {
            Node::ResTarget(target) => Some(target),
            _ => None,
        })
        .collect()
}
