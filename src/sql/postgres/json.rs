//! SQL/JSON. Each constructor and query function is a call by its own name, since before 16 and 17
//! it was a routine like any other.

use pg_raw_parse::list::NodeList;
use pg_raw_parse::raw::JsonExprOp;
use pg_raw_parse::{Node, nodes};

use super::{Lowered, Lowering};
use crate::sql::model::{Call, Expr, Name, Relation};

impl Lowering<'_> {
    pub(super) fn json(&mut self, node: Node<'_>) -> Lowered<Expr> {
        let mut parts = Vec::new();
        let (name, location) = match node {
            Node::JsonObjectConstructor(json) => {
                for pair in json.exprs() {
                    self.pair(Some(pair), &mut parts)?;
                }
                self.output(json.output())?;
                ("json_object", json.location)
            }
            Node::JsonArrayConstructor(json) => {
                for value in json.exprs() {
                    self.value(Some(value), &mut parts)?;
                }
                self.output(json.output())?;
                ("json_array", json.location)
            }
            Node::JsonArrayQueryConstructor(json) => {
                let query = self.any_query(json.query())?;
                parts.push(Expr::Subquery(Box::new(query)));
                self.output(json.output())?;
                ("json_array", json.location)
            }
            Node::JsonObjectAgg(json) => {
                self.pair(json.arg(), &mut parts)?;
                return self.aggregate("json_objectagg", json.constructor(), parts);
            }
            Node::JsonArrayAgg(json) => {
                self.value(json.arg(), &mut parts)?;
                return self.aggregate("json_arrayagg", json.constructor(), parts);
            }
            Node::JsonIsPredicate(json) => {
                return Ok(Expr::Opaque(vec![self.expr(json.expr())?]));
            }
            Node::JsonParseExpr(json) => {
                self.value(json.expr(), &mut parts)?;
                self.output(json.output())?;
                ("json", json.location)
            }
            Node::JsonScalarExpr(json) => {
                parts.push(self.expr(json.expr())?);
                self.output(json.output())?;
                ("json_scalar", json.location)
            }
            Node::JsonSerializeExpr(json) => {
                self.value(json.expr(), &mut parts)?;
                self.output(json.output())?;
                ("json_serialize", json.location)
            }
            Node::JsonFuncExpr(json) => (self.function(json, &mut parts)?, json.location),
            Node::JsonValueExpr(value) => {
                self.value(Some(value), &mut parts)?;
                return Ok(Expr::Opaque(parts));
            }
            _ => return self.refuse("an expression that is not read"),
        };
        let name = self.places.one(name, location);
        Ok(call(name, parts))
    }

    fn function(
        &mut self,
        json: &nodes::JsonFuncExpr,
        parts: &mut Vec<Expr>,
    ) -> Lowered<&'static str> {
        self.value(json.context_item(), parts)?;
        parts.extend(self.optional(json.pathspec())?);
        self.passing(json.passing(), parts)?;
        self.output(json.output())?;
        self.behaviour(json.on_empty(), parts)?;
        self.behaviour(json.on_error(), parts)?;
        match json.op {
            JsonExprOp::JSON_EXISTS_OP => Ok("json_exists"),
            JsonExprOp::JSON_QUERY_OP => Ok("json_query"),
            JsonExprOp::JSON_VALUE_OP => Ok("json_value"),
            _ => self.refuse("a JSON function that is not known"),
        }
    }

    fn aggregate(
        &mut self,
        name: &str,
        constructor: Option<&nodes::JsonAggConstructor>,
        arguments: Vec<Expr>,
    ) -> Lowered<Expr> {
        let Some(constructor) = constructor else {
            return self.refuse("a JSON aggregate that is not read");
        };
        self.output(constructor.output())?;
        let filter = self.optional(constructor.agg_filter())?;
        let mut inside = Vec::new();
        for key in constructor.agg_order() {
            let Node::SortBy(key) = key else {
                return self.refuse("a JSON aggregate that is not read");
            };
            inside.extend(self.order_keys([key])?);
        }
        let over = constructor.over().map(|window| self.over(window)).transpose()?;
        let name = self.places.one(name, constructor.location);
        let qualifier = Vec::new();
        Ok(Expr::Call(Box::new(Call { qualifier, name, arguments, inside, filter, over })))
    }

    fn pair(&mut self, pair: Option<&nodes::JsonKeyValue>, parts: &mut Vec<Expr>) -> Lowered<()> {
        if let Some(pair) = pair {
            parts.push(self.expr(pair.key())?);
            self.value(pair.value(), parts)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: Option<&nodes::JsonValueExpr>,
        parts: &mut Vec<Expr>,
    ) -> Lowered<()> {
        if let Some(value) = value {
            parts.push(self.expr(value.raw_expr())?);
            self.absent(
                matches!(value.formatted_expr(), Node::None),
                "a JSON value that is formatted already",
            )?;
        }
        Ok(())
    }

    fn output(&mut self, output: Option<&nodes::JsonOutput>) -> Lowered<()> {
        if let Some(type_name) = output.and_then(|output| output.type_name()) {
            self.type_name(type_name)?;
        }
        Ok(())
    }

    fn passing(&mut self, passing: &NodeList, parts: &mut Vec<Expr>) -> Lowered<()> {
        for argument in passing {
            let Node::JsonArgument(argument) = argument else {
                return self.refuse("a PASSING clause that is not read");
            };
            if let Some(name) = argument.name() {
                self.places.loose(name);
            }
            self.value(argument.val(), parts)?;
        }
        Ok(())
    }

    fn behaviour(
        &mut self,
        behaviour: Option<&nodes::JsonBehavior>,
        parts: &mut Vec<Expr>,
    ) -> Lowered<()> {
        if let Some(behaviour) = behaviour {
            parts.extend(self.optional(behaviour.expr())?);
        }
        Ok(())
    }

    pub(super) fn json_table(&mut self, table: &nodes::JsonTable) -> Lowered<Relation> {
        let mut parts = Vec::new();
        self.value(table.context_item(), &mut parts)?;
        self.path(table.pathspec(), &mut parts)?;
        self.passing(table.passing(), &mut parts)?;
        for column in table.columns() {
            self.json_column(column, &mut parts)?;
        }
        self.behaviour(table.on_error(), &mut parts)?;
        self.table_function("json_table", parts, table.alias())
    }

    fn path(
        &mut self,
        path: Option<&nodes::JsonTablePathSpec>,
        parts: &mut Vec<Expr>,
    ) -> Lowered<()> {
        let Some(path) = path else {
            return Ok(());
        };
        if let Some(name) = path.name() {
            self.places.one(name, path.name_location);
        }
        parts.extend(self.optional(path.string())?);
        Ok(())
    }

    fn json_column(
        &mut self,
        column: &nodes::JsonTableColumn,
        parts: &mut Vec<Expr>,
    ) -> Lowered<()> {
        if let Some(name) = column.name() {
            self.places.one(name, column.location);
        }
        if let Some(type_name) = column.type_name() {
            self.type_name(type_name)?;
        }
        self.path(column.pathspec(), parts)?;
        self.behaviour(column.on_empty(), parts)?;
        self.behaviour(column.on_error(), parts)?;
        for nested in column.columns() {
            let Node::JsonTableColumn(nested) = nested else {
                return self.refuse("a column of JSON_TABLE that is not read");
            };
            self.json_column(nested, parts)?;
        }
        Ok(())
    }
}

fn call(name: Name, arguments: Vec<Expr>) -> Expr {
    let (qualifier, inside) = (Vec::new(), Vec::new());
    Expr::Call(Box::new(Call { qualifier, name, arguments, inside, filter: None, over: None }))
}
