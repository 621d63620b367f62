use pg_raw_parse::list::NodeList;
use pg_raw_parse::raw::JoinType;
use pg_raw_parse::{Node, nodes};

use super::places::texts;
use super::{Lowered, Lowering};
use crate::sql::model::{
    Block, Call, Expr, Grouping, Item, Join, JoinCondition, JoinKind, JoinTree, Name, Query,
    Relation, Source,
};

impl Lowering<'_> {
    pub(super) fn from(&mut self, from: &NodeList) -> Lowered<Vec<JoinTree>> {
        from.iter().map(|item| self.joined(item)).collect()
    }

    pub(super) fn joined(&mut self, item: Node<'_>) -> Lowered<JoinTree> {
        let relation = match item {
            Node::JoinExpr(join) => return self.join(join),
            Node::RangeVar(table) => self.table(table, Vec::new())?,
            Node::RangeTableSample(sample) => {
                let Node::RangeVar(table) = sample.relation() else {
                    return self.refuse("a sample of something that is not a table");
                };
                self.absent(sample.method().len() == 1, "a sampling method of a schema")?;
                self.loose_names(sample.method())?;
                let mut arguments = self.exprs(sample.args())?;
                arguments.extend(self.optional(sample.repeatable())?);
                self.table(table, arguments)?
            }
            Node::RangeSubselect(derived) => {
                let query = self.any_query(derived.subquery())?;
                let (alias, columns) = self.alias(derived.alias())?;
                let source = Source::Derived(Box::new(query));
                Relation { source, alias, columns, lateral: derived.lateral }
            }
            Node::RangeFunction(function) => self.function_item(function)?,
            Node::RangeTableFunc(table) => self.xml_table(table)?,
            Node::JsonTable(table) => self.json_table(table)?,
            _ => return self.refuse("a FROM item that is not read"),
        };
        Ok(JoinTree::Relation(Box::new(relation)))
    }

    fn table(&mut self, table: &nodes::RangeVar, sample: Vec<Expr>) -> Lowered<Relation> {
        let (qualifier, name) = self.relation_name(table)?;
        let (alias, columns) = self.alias(table.alias())?;
        let source = Source::Table { qualifier, name, sample };
        Ok(Relation { source, alias, columns, lateral: false })
    }

    /// The name of a relation, counted.
    pub(super) fn relation_name(&mut self, table: &nodes::RangeVar) -> Lowered<(Vec<Name>, Name)> {
        self.counts.relations = self.counts.relations.saturating_add(1);
        let name = self.text(table.relname())?;
        let parts: Vec<&str> =
            [table.catalogname(), table.schemaname(), Some(name)].into_iter().flatten().collect();
        let mut names = self.places.dotted(&parts, table.location);
        match names.pop() {
            Some(last) => Ok((names, last)),
            None => self.refuse("a relation without a name"),
        }
    }

    pub(super) fn alias(
        &mut self,
        alias: Option<&nodes::Alias>,
    ) -> Lowered<(Option<Name>, Vec<Name>)> {
        let Some(alias) = alias else {
            return Ok((None, Vec::new()));
        };
        let name = self.text(alias.aliasname())?;
        let name = self.places.loose(name);
        Ok((Some(name), self.loose_names(alias.colnames())?))
    }

    fn join(&mut self, join: &nodes::JoinExpr) -> Lowered<JoinTree> {
        let left = self.joined(join.larg())?;
        let right = self.joined(join.rarg())?;
        let kind = match join.jointype {
            JoinType::JOIN_INNER => JoinKind::Inner,
            JoinType::JOIN_LEFT => JoinKind::Left,
            JoinType::JOIN_RIGHT => JoinKind::Right,
            JoinType::JOIN_FULL => JoinKind::Full,
            _ => return self.refuse("a join that is not known"),
        };
        let using: Vec<&str> = join.using_clause().iter().filter_map(|name| name.sval()).collect();
        let condition = match (join.is_natural, using.as_slice(), self.optional(join.quals())?) {
            (true, [], None) => JoinCondition::Natural,
            (false, [], None) => JoinCondition::None,
            (false, [], Some(on)) => JoinCondition::On(on),
            (false, names, None) => {
                JoinCondition::Using(names.iter().map(|name| self.places.loose(name)).collect())
            }
            (_, _, _) => return self.refuse("a join with several conditions"),
        };
        let merged = match join.join_using_alias() {
            None => None,
            Some(alias) => Some(self.alias(Some(alias))?.0),
        };
        let tree = JoinTree::Join(Box::new(Join { kind, left, right, condition }));
        if let Some(alias) = merged {
            self.absent(join.alias().is_none(), "a join with two aliases")?;
            // USING (…) AS alias: a name that means neither side, so nothing is known of it.
            let columns = using
                .iter()
                .map(|name| Name { text: (*name).into(), span: crate::sql::Span::default() })
                .collect();
            let source = Source::Function(Vec::new());
            let alias = Relation { source, alias, columns, lateral: true };
            let right = JoinTree::Relation(Box::new(alias));
            let (left, kind) = (tree, JoinKind::Inner);
            let condition = JoinCondition::None;
            return Ok(JoinTree::Join(Box::new(Join { kind, left, right, condition })));
        }
        let Some(alias) = join.alias() else {
            return Ok(tree);
        };
        // A join with an alias is what SELECT * from it is; inside it nothing outside is seen.
        self.absent(!is_lateral(&tree), "a join with an alias and LATERAL in it")?;
        let (alias, columns) = self.alias(Some(alias))?;
        let source = Source::Derived(Box::new(all_of(tree)));
        Ok(JoinTree::Relation(Box::new(Relation { source, alias, columns, lateral: false })))
    }

    fn function_item(&mut self, function: &nodes::RangeFunction) -> Lowered<Relation> {
        let mut calls = Vec::new();
        let mut plain = !function.ordinality && !function.is_rowsfrom;
        for entry in function.functions() {
            // Each is a pair: the function and its column definitions.
            let Some((call, definitions)) = entry.as_node_list().and_then(|pair| {
                let mut pair = pair.iter();
                Some((pair.next()?, pair.next()?))
            }) else {
                return self.refuse("a function in FROM that is not read");
            };
            if let Node::FuncCall(call) = call {
                plain =
                    plain && !call.func_variadic && !call.agg_distinct && !call.agg_within_group;
            }
            calls.push(self.expr(call)?);
            if let Some(definitions) = definitions.as_node_list() {
                self.column_definitions(definitions)?;
            }
        }
        let (alias, mut columns) = self.alias(function.alias())?;
        for definition in function.coldeflist() {
            columns.push(self.column_definition(definition)?);
        }
        plain = plain && function.coldeflist().is_empty();
        let source = if plain { several_arrays(calls) } else { Err(calls) };
        let source = source.unwrap_or_else(Source::Function);
        Ok(Relation { source, alias, columns, lateral: true })
    }

    fn column_definitions(&mut self, list: &NodeList) -> Lowered<Vec<Name>> {
        list.iter()
            .map(|definition| match definition {
                Node::ColumnDef(definition) => self.column_definition(definition),
                _ => self.refuse("a column definition that is not read"),
            })
            .collect()
    }

    /// `name type` behind a function.
    fn column_definition(&mut self, definition: &nodes::ColumnDef) -> Lowered<Name> {
        if let Some(type_name) = definition.type_name() {
            self.type_name(type_name)?;
        }
        if let Some(collation) = definition.coll_clause() {
            self.collation(collation)?;
        }
        let name = self.text(definition.colname())?;
        Ok(self.places.one(name, definition.location))
    }

    fn xml_table(&mut self, table: &nodes::RangeTableFunc) -> Lowered<Relation> {
        let mut parts = vec![self.expr(table.docexpr())?, self.expr(table.rowexpr())?];
        for namespace in table.namespaces() {
            let Node::ResTarget(namespace) = namespace else {
                return self.refuse("a namespace that is not read");
            };
            if let Some(name) = namespace.name() {
                self.places.loose(name);
            }
            parts.push(self.expr(namespace.val())?);
        }
        for column in table.columns() {
            if let Some(type_name) = column.type_name() {
                self.type_name(type_name)?;
            }
            parts.extend(self.optional(column.colexpr())?);
            parts.extend(self.optional(column.coldefexpr())?);
            let name = self.text(column.colname())?;
            self.places.one(name, column.location);
        }
        self.table_function("xmltable", parts, table.alias())
    }

    /// XMLTABLE and JSON_TABLE: functions of which no column is known.
    pub(super) fn table_function(
        &mut self,
        name: &str,
        parts: Vec<Expr>,
        alias: Option<&nodes::Alias>,
    ) -> Lowered<Relation> {
        let (alias, columns) = self.alias(alias)?;
        let own = Name { text: name.into(), span: crate::sql::Span::default() };
        let source = Source::Function(vec![Expr::Opaque(parts)]);
        Ok(Relation { source, alias: alias.or(Some(own)), columns, lateral: true })
    }

    /// A name in parts, of which only the last names something.
    pub(super) fn qualified(&mut self, names: &NodeList, location: i32) -> Lowered<Vec<Name>> {
        match texts(names) {
            Some(parts) if !parts.is_empty() => Ok(self.places.dotted(&parts, location)),
            Some(_) | None => self.refuse("a name that is not a text"),
        }
    }
}

/// Whether anything in a join sees what stands before it.
fn is_lateral(tree: &JoinTree) -> bool {
    match tree {
        JoinTree::Relation(relation) => relation.lateral,
        JoinTree::Join(join) => is_lateral(&join.left) || is_lateral(&join.right),
    }
}

/// `SELECT * FROM tree`.
fn all_of(tree: JoinTree) -> Query {
    Query::of_block(Block {
        distinct_on: None,
        items: vec![Item::Wildcard],
        from: vec![tree],
        filter: None,
        grouping: Grouping::None,
        having: None,
        windows: Vec::new(),
    })
}

/// A single call of `unnest` without a schema, which PostgreSQL takes for its own if it has several
/// arguments (`parse_clause.c`, `transformRangeFunction`).
fn several_arrays(calls: Vec<Expr>) -> Result<Source, Vec<Expr>> {
    let is_unnest = |call: &Call| {
        let Call { qualifier, name, arguments: _, inside, filter, over } = call;
        qualifier.is_empty()
            && &*name.text == "unnest"
            && inside.is_empty()
            && filter.is_none()
            && over.is_none()
    };
    match <[Expr; 1]>::try_from(calls) {
        Ok([Expr::Call(mut call)]) if is_unnest(&call) => {
            Source::unnest(std::mem::take(&mut call.arguments)).map_err(|arguments| {
                call.arguments = arguments;
                vec![Expr::Call(call)]
            })
        }
        Ok([other]) => Err(vec![other]),
        Err(calls) => Err(calls),
    }
}
