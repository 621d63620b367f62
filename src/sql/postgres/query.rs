use pg_raw_parse::raw::{CTEMaterialize, GroupingSetKind, SetOperation};
use pg_raw_parse::{Node, nodes};

use super::{Lowered, Lowering};
use crate::sql::Span;
use crate::sql::model::{Block, Body, Cte, Expr, Grouping, Item, Name, Query, SetOperator, Window};

impl Query {
    /// A query that is one block and nothing else.
    pub(super) fn of_block(block: Block) -> Self {
        Self {
            with: Vec::new(),
            recursive: false,
            body: Body::Block(Box::new(block)),
            order_by: Vec::new(),
            limits: Vec::new(),
            limited: false,
        }
    }
}

impl Lowering<'_> {
    /// A query or write, wherever one may stand.
    pub(super) fn any_query(&mut self, node: Node<'_>) -> Lowered<Query> {
        match node {
            Node::SelectStmt(select) => self.query(select),
            Node::InsertStmt(insert) => self.insert(insert),
            Node::UpdateStmt(update) => self.update(update),
            Node::DeleteStmt(delete) => self.delete(delete),
            Node::MergeStmt(merge) => self.merge(merge),
            _ => self.refuse("a statement of a kind that is not read"),
        }
    }

    pub(super) fn query(&mut self, select: &nodes::SelectStmt) -> Lowered<Query> {
        let may_select_into = std::mem::take(&mut self.may_select_into);
        let (with, recursive) = self.with(select.with_clause())?;
        self.may_select_into = may_select_into;
        let body = self.body(select)?;
        let order_by = self.order_keys(select.sort_clause())?;
        let mut limits = Vec::new();
        let mut limited = false;
        for limit in [select.limit_count(), select.limit_offset()] {
            if let Node::None = limit {
                continue;
            }
            // LIMIT ALL, LIMIT NULL: no limit.
            let all = matches!(limit, Node::A_Const(constant) if constant.isnull);
            limited = limited || !all;
            limits.push(self.expr(limit)?);
        }
        for locking in select.locking_clause() {
            // Aliases of FROM items, not relations of their own.
            for relation in locking.locked_rels() {
                let Node::RangeVar(relation) = relation else {
                    return self.refuse("a locking clause that is not read");
                };
                self.counts.relations = self.counts.relations.saturating_add(1);
                self.absent(
                    relation.schemaname().is_none() && relation.catalogname().is_none(),
                    "a qualified name in a locking clause",
                )?;
                let name = self.text(relation.relname())?;
                self.places.one(name, relation.location);
            }
        }
        Ok(Query { with, recursive, body, order_by, limits, limited })
    }

    /// An arm of a set operation, which may have a tail of its own.
    fn arm(&mut self, select: Option<&nodes::SelectStmt>) -> Lowered<Body> {
        let Some(select) = select else {
            return self.refuse("a set operation without an arm");
        };
        let plain = select.with_clause().is_none()
            && select.sort_clause().is_empty()
            && select.locking_clause().is_empty()
            && matches!(select.limit_count(), Node::None)
            && matches!(select.limit_offset(), Node::None);
        if plain { self.body(select) } else { Ok(Body::Nested(Box::new(self.query(select)?))) }
    }

    fn body(&mut self, select: &nodes::SelectStmt) -> Lowered<Body> {
        self.counts.queries = self.counts.queries.saturating_add(1);
        let may_select_into = std::mem::take(&mut self.may_select_into);
        if select.into_clause().is_some() {
            self.absent(may_select_into, "SELECT INTO inside a statement")?;
            // The new table, which the sweep judges.
            self.counts.relations = self.counts.relations.saturating_add(1);
        }
        let operator = match select.op {
            SetOperation::SETOP_NONE => None,
            SetOperation::SETOP_UNION => Some(SetOperator::Union),
            SetOperation::SETOP_INTERSECT => Some(SetOperator::Intersect),
            SetOperation::SETOP_EXCEPT => Some(SetOperator::Except),
            _ => return self.refuse("a set operation that is not known"),
        };
        if let Some(operator) = operator {
            return Ok(Body::SetOperation {
                operator,
                left: Box::new(self.arm(select.larg())?),
                right: Box::new(self.arm(select.rarg())?),
            });
        }
        if !select.values_lists().is_empty() {
            return select
                .values_lists()
                .into_iter()
                .map(|row| match row {
                    Node::NodeList(row) => self.exprs(row),
                    _ => self.refuse("VALUES that is not a list"),
                })
                .collect::<Lowered<Vec<Vec<Expr>>>>()
                .map(Body::Values);
        }
        self.block(select).map(|block| Body::Block(Box::new(block)))
    }

    fn with(&mut self, with: Option<&nodes::WithClause>) -> Lowered<(Vec<Cte>, bool)> {
        let Some(with) = with else {
            return Ok((Vec::new(), false));
        };
        let ctes = with.ctes().iter().map(|cte| self.cte(cte)).collect::<Lowered<_>>()?;
        Ok((ctes, with.recursive))
    }

    /// WITH before a write stands in the write's own node.
    pub(super) fn around(
        &mut self,
        with: Option<&nodes::WithClause>,
        body: impl FnOnce(&mut Self) -> Lowered<Body>,
    ) -> Lowered<Query> {
        let (with, recursive) = self.with(with)?;
        let body = body(self)?;
        let (order_by, limits) = (Vec::new(), Vec::new());
        Ok(Query { with, recursive, body, order_by, limits, limited: false })
    }

    fn cte(&mut self, cte: &nodes::CommonTableExpr) -> Lowered<Cte> {
        let text = self.text(cte.ctename())?;
        let name = self.places.one(text, cte.location);
        let mut columns = self.loose_names(cte.aliascolnames())?;
        let named = !columns.is_empty();
        // SEARCH and CYCLE add columns behind those of the query. Their names are known only
        // where all before them are.
        let mut added = Vec::new();
        if let Some(search) = cte.search_clause() {
            self.loose_names(search.search_col_list())?;
            added.push(search.search_seq_column());
        }
        if let Some(cycle) = cte.cycle_clause() {
            self.loose_names(cycle.cycle_col_list())?;
            // Constants of any type, which the grammar fills in where they are not written.
            for value in [cycle.cycle_mark_value(), cycle.cycle_mark_default()] {
                self.unused(value)?;
            }
            added.push(cycle.cycle_mark_column());
            added.push(cycle.cycle_path_column());
        }
        self.absent(named || added.is_empty(), "SEARCH or CYCLE without column names")?;
        for name in added {
            let name = self.text(name)?;
            columns.push(self.places.loose(name));
        }
        let materialized = cte.ctematerialized == CTEMaterialize::CTEMaterializeAlways;
        Ok(Cte { name, columns, materialized, query: self.any_query(cte.ctequery())? })
    }

    /// Names that the grammar gives without a place.
    pub(super) fn loose_names<'t>(
        &mut self,
        list: impl IntoIterator<Item = Node<'t>>,
    ) -> Lowered<Vec<Name>> {
        list.into_iter()
            .map(|name| match name.as_str() {
                Some(text) => Ok(self.places.loose(text)),
                None => self.refuse("a name that is not a text"),
            })
            .collect()
    }

    fn block(&mut self, select: &nodes::SelectStmt) -> Lowered<Block> {
        let distinct = select.distinct_clause();
        // Plain DISTINCT is a list of one empty node.
        let plain = distinct.iter().all(|key| matches!(key, Node::None));
        let distinct_on = if plain { None } else { Some(self.exprs(distinct)?) };
        let items =
            select.target_list().iter().map(|target| self.item(target)).collect::<Lowered<_>>()?;
        let from = self.from(select.from_clause())?;
        let filter = self.optional(select.where_clause())?;
        let grouping = self.grouping(select.group_clause())?;
        let having = self.optional(select.having_clause())?;
        let windows = select
            .window_clause()
            .iter()
            .map(|window| match window {
                Node::WindowDef(window) => {
                    let name = window.name().map(|name| self.places.loose(name));
                    let base = window.refname().map(|name| self.places.loose(name));
                    Ok(Window { base, name, ..self.window_parts(window)? })
                }
                _ => self.refuse("a window that is not read"),
            })
            .collect::<Lowered<_>>()?;
        Ok(Block { distinct_on, items, from, filter, grouping, having, windows })
    }

    /// An item of a select list or of RETURNING.
    pub(super) fn item(&mut self, target: &nodes::ResTarget) -> Lowered<Item> {
        self.absent(target.indirection().is_empty(), "an item with a subscript")?;
        let value = target.val();
        if let (None, Node::ColumnRef(column)) = (target.name(), value)
            && let Some((Node::A_Star(_), qualifier)) = last_of(column.fields())
        {
            let parts = super::places::texts(qualifier);
            let Some(parts) = parts else {
                return self.refuse("a wildcard that is not read");
            };
            return Ok(if parts.is_empty() {
                Item::Wildcard
            } else {
                Item::QualifiedWildcard(self.places.dotted(&parts, column.location))
            });
        }
        let implied = implied_label(value);
        let expr = self.expr(value)?;
        let label = match target.name() {
            Some(label) => Some(self.places.loose(label)),
            None => implied.map(|text| Name { text: text.into(), span: Span::default() }),
        };
        Ok(Item::Expr { expr, label })
    }

    fn grouping(&mut self, keys: &pg_raw_parse::list::NodeList) -> Lowered<Grouping> {
        let sets = keys.iter().any(|key| {
            matches!(key, Node::GroupingSet(set)
                if set.kind != GroupingSetKind::GROUPING_SET_SIMPLE)
        });
        let keys = self.exprs(keys)?;
        Ok(match (sets, keys.is_empty()) {
            (true, _) => Grouping::Sets(keys),
            (false, true) => Grouping::None,
            (false, false) => Grouping::Keys(keys),
        })
    }

    pub(super) fn order_keys<'t>(
        &mut self,
        keys: impl IntoIterator<Item = &'t nodes::SortBy>,
    ) -> Lowered<Vec<Expr>> {
        keys.into_iter()
            .map(|key| {
                let key_expr = self.expr(key.node())?;
                if key.use_op().is_empty() {
                    return Ok(key_expr);
                }
                // USING operator: what it calls is not known.
                self.known_operator(key.use_op())?;
                Ok(Expr::Opaque(vec![key_expr]))
            })
            .collect()
    }
}

/// The last of a list, and those before it.
pub(super) fn last_of(
    list: &pg_raw_parse::list::NodeList,
) -> Option<(Node<'_>, impl Iterator<Item = Node<'_>>)> {
    let before = list.len().checked_sub(1)?;
    Some((list.get(before)?, list.iter().take(before)))
}

/// The label PostgreSQL gives an unlabelled item: a column's own name, through a cast too
/// (`FigureColname`). Names of function results are left out: no proof rests on them.
fn implied_label(node: Node<'_>) -> Option<&str> {
    match node {
        Node::ColumnRef(column) => last_of(column.fields())?.0.as_str(),
        Node::TypeCast(cast) => implied_label(cast.arg()),
        _ => None,
    }
}
