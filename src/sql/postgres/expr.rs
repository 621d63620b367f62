use pg_raw_parse::list::NodeList;
use pg_raw_parse::raw::{
    A_Expr_Kind, BoolExprType, BoolTestType, MinMaxOp, NullTestType, SubLinkType,
};
use pg_raw_parse::{ConstValue, Node, nodes};

use super::places::texts;
use super::query::last_of;
use super::{Lowered, Lowering};
use crate::sql::Literal;
use crate::sql::model::{Comparison, Constant, Expr};

impl Lowering<'_> {
    pub(super) fn exprs<'t>(
        &mut self,
        nodes: impl IntoIterator<Item = Node<'t>>,
    ) -> Lowered<Vec<Expr>> {
        nodes.into_iter().map(|node| self.expr(node)).collect()
    }

    /// An expression that PostgreSQL only compares or folds, and never runs on a row: nothing of it
    /// is in the model, so no query may be in it.
    pub(super) fn unused(&mut self, node: Node<'_>) -> Lowered<()> {
        let before = self.counts.queries;
        self.optional(node)?;
        self.absent(self.counts.queries == before, "a query where PostgreSQL takes none")
    }

    /// An expression, if there is one.
    pub(super) fn optional(&mut self, node: Node<'_>) -> Lowered<Option<Expr>> {
        match node {
            Node::None => Ok(None),
            node => self.expr(node).map(Some),
        }
    }

    fn boxed(&mut self, node: Node<'_>) -> Lowered<Box<Expr>> {
        self.expr(node).map(Box::new)
    }

    fn opaque<'t>(&mut self, nodes: impl IntoIterator<Item = Node<'t>>) -> Lowered<Expr> {
        self.exprs(nodes).map(Expr::Opaque)
    }

    pub(super) fn expr(&mut self, node: Node<'_>) -> Lowered<Expr> {
        match node {
            Node::ColumnRef(column) => self.column(column),
            Node::ParamRef(parameter) => self.parameter(parameter),
            Node::A_Const(constant) => self.constant(constant),
            Node::TypeCast(cast) => {
                let expr = self.boxed(cast.arg())?;
                let Some(target) = cast.type_name() else {
                    return self.refuse("a cast without a type");
                };
                Ok(Expr::Cast { expr, target: self.type_name(target)? })
            }
            Node::BoolExpr(operator) => self.boolean(operator),
            Node::A_Expr(operator) => self.operator(operator),
            Node::NullTest(test) => Ok(Expr::IsNull {
                expr: self.boxed(test.arg())?,
                negated: test.nulltesttype != NullTestType::IS_NULL,
            }),
            Node::BooleanTest(test) if test.booltesttype == BoolTestType::IS_TRUE => {
                self.boxed(test.arg()).map(Expr::IsTrue)
            }
            Node::BooleanTest(test) => self.opaque([test.arg()]),
            Node::SubLink(link) => self.sublink(link),
            Node::FuncCall(call) => self.call(call),
            Node::CoalesceExpr(call) => self.named_call("coalesce", call.args(), call.location),
            Node::MinMaxExpr(call) => {
                let greatest = call.op == MinMaxOp::IS_GREATEST;
                let name = if greatest { "greatest" } else { "least" };
                self.named_call(name, call.args(), call.location)
            }
            Node::GroupingFunc(call) => self.named_call("grouping", call.args(), call.location),
            // Before 17 a routine of anyone's own.
            Node::MergeSupportFunc(call) => {
                self.named_call("merge_action", std::iter::empty(), call.location)
            }
            Node::SQLValueFunction(_) => Ok(Expr::Opaque(Vec::new())),
            Node::RowExpr(row) => self.exprs(row.args()).map(Expr::Row),
            Node::A_ArrayExpr(array) => self.exprs(array.elements()).map(Expr::Array),
            Node::A_Indirection(indirection) => self.indirection(indirection),
            Node::CaseExpr(case) => self.case(case),
            Node::CollateClause(collate) => {
                self.collation(collate)?;
                self.opaque([collate.arg()])
            }
            Node::GroupingSet(set) => self.opaque(set.content()),
            Node::SetToDefault(_) => Ok(Expr::Default),
            Node::CurrentOfExpr(of) => {
                if let Some(cursor) = of.cursor_name() {
                    self.places.loose(cursor);
                }
                Ok(Expr::Opaque(Vec::new()))
            }
            Node::NamedArgExpr(argument) => {
                if let Some(name) = argument.name() {
                    self.places.one(name, argument.location);
                }
                self.expr(argument.arg())
            }
            Node::XmlExpr(xml) => self.xml(xml),
            Node::XmlSerialize(xml) => {
                if let Some(type_name) = xml.type_name() {
                    self.type_name(type_name)?;
                }
                self.opaque([xml.expr()])
            }
            other => self.json(other),
        }
    }

    fn xml(&mut self, xml: &nodes::XmlExpr) -> Lowered<Expr> {
        self.absent(xml.arg_names().is_empty(), "names of XML arguments")?;
        if let Some(name) = xml.name() {
            self.places.loose(name);
        }
        let mut parts = self.exprs(xml.args())?;
        for named in xml.named_args() {
            let Node::ResTarget(named) = named else {
                return self.refuse("an XML attribute that is not read");
            };
            if let Some(name) = named.name() {
                self.places.loose(name);
            }
            parts.push(self.expr(named.val())?);
        }
        Ok(Expr::Opaque(parts))
    }

    fn column(&mut self, column: &nodes::ColumnRef) -> Lowered<Expr> {
        let fields = column.fields();
        if let Some((Node::A_Star(_), qualifier)) = last_of(fields) {
            let Some(parts) = texts(qualifier) else {
                return self.refuse("a column that is not a name");
            };
            self.places.dotted(&parts, column.location);
            return Ok(Expr::Opaque(Vec::new()));
        }
        match texts(fields) {
            Some(parts) if !parts.is_empty() => {
                Ok(Expr::Column(self.places.dotted(&parts, column.location)))
            }
            Some(_) | None => self.refuse("a column that is not a name"),
        }
    }

    fn parameter(&mut self, parameter: &nodes::ParamRef) -> Lowered<Expr> {
        self.counts.parameters = self.counts.parameters.saturating_add(1);
        match u16::try_from(parameter.number) {
            Ok(number) if number > 0 => Ok(Expr::Parameter(number)),
            Ok(_) | Err(_) => self.refuse("a parameter number out of range"),
        }
    }

    fn constant(&mut self, constant: &nodes::A_Const) -> Lowered<Expr> {
        let lexeme = self.places.at(constant.location);
        let escaped = lexeme.is_some_and(|lexeme| lexeme.is_escaped());
        Ok(Expr::Constant(match constant.val() {
            None => Constant::Null,
            Some(ConstValue::Integer(number)) => self.number(&number.to_string(), constant),
            Some(ConstValue::Float(digits)) => self.number(digits, constant),
            Some(ConstValue::Boolean(value)) => Constant::Boolean(value),
            // Escapes are decoded by rules of their own: such a text is a constant, but not one
            // whose value is believed.
            Some(ConstValue::String(_)) if escaped => Constant::Other,
            Some(ConstValue::String(text)) => Constant::Text(Literal::new(text, lexeme)),
            Some(ConstValue::BitString(_)) => Constant::Other,
            Some(_) => return self.refuse("a constant that is not known"),
        }))
    }

    /// Of a negative number the grammar gives the place of the minus.
    fn number(&self, digits: &str, constant: &nodes::A_Const) -> Constant {
        Constant::Number(match digits.strip_prefix('-') {
            Some(digits) => Literal::new(digits, self.places.behind(constant.location)).negated(),
            None => Literal::new(digits, self.places.at(constant.location)),
        })
    }

    fn boolean(&mut self, operator: &nodes::BoolExpr) -> Lowered<Expr> {
        let mut parts = self.exprs(operator.args())?;
        match operator.boolop {
            BoolExprType::AND_EXPR => Ok(Expr::And(parts)),
            BoolExprType::OR_EXPR => Ok(Expr::Or(parts)),
            BoolExprType::NOT_EXPR if parts.len() == 1 => Ok(match parts.pop() {
                Some(Expr::InQuery { expr, query, negated: false }) => {
                    Expr::InQuery { expr, query, negated: true }
                }
                Some(Expr::Exists { query, negated: false }) => {
                    Expr::Exists { query, negated: true }
                }
                Some(inner) => Expr::Not(Box::new(inner)),
                None => Expr::Opaque(Vec::new()),
            }),
            _ => self.refuse("a boolean operator that is not known"),
        }
    }

    fn operator(&mut self, operator: &nodes::A_Expr) -> Lowered<Expr> {
        let (left, right) = (operator.lexpr(), operator.rexpr());
        let name = self.known_operator(operator.name())?;
        match operator.kind {
            A_Expr_Kind::AEXPR_OP => self.plain_operator(name, left, right),
            A_Expr_Kind::AEXPR_OP_ANY if name == Some("=") => {
                Ok(Expr::EqualsAny { expr: self.boxed(left)?, array: self.boxed(right)? })
            }
            A_Expr_Kind::AEXPR_OP_ANY | A_Expr_Kind::AEXPR_OP_ALL if is_comparison(name) => {
                Ok(Expr::Quantified(vec![self.expr(left)?, self.expr(right)?]))
            }
            A_Expr_Kind::AEXPR_OP_ANY | A_Expr_Kind::AEXPR_OP_ALL => self.opaque([left, right]),
            A_Expr_Kind::AEXPR_DISTINCT | A_Expr_Kind::AEXPR_NOT_DISTINCT => Ok(Expr::IsDistinct {
                left: self.boxed(left)?,
                right: self.boxed(right)?,
                negated: operator.kind == A_Expr_Kind::AEXPR_NOT_DISTINCT,
            }),
            A_Expr_Kind::AEXPR_NULLIF => {
                self.named_call("nullif", [left, right], operator.location)
            }
            A_Expr_Kind::AEXPR_IN => {
                let Node::NodeList(list) = right else {
                    return self.refuse("IN without a list");
                };
                Ok(Expr::InList {
                    expr: self.boxed(left)?,
                    list: self.exprs(list)?,
                    negated: name != Some("="),
                })
            }
            A_Expr_Kind::AEXPR_LIKE | A_Expr_Kind::AEXPR_ILIKE => {
                let expr = self.expr(left)?;
                let mut parts = vec![expr];
                match right {
                    Node::FuncCall(escape) if is_escape(escape) => {
                        self.counts.calls = self.counts.calls.saturating_add(1);
                        parts.extend(self.exprs(escape.args())?);
                    }
                    pattern => parts.push(self.expr(pattern)?),
                }
                Ok(Expr::Strict(parts))
            }
            A_Expr_Kind::AEXPR_SIMILAR => {
                let mut parts = vec![self.expr(left)?];
                match right {
                    Node::FuncCall(escape) if is_escape(escape) => {
                        self.counts.calls = self.counts.calls.saturating_add(1);
                        parts.extend(self.exprs(escape.args())?);
                    }
                    pattern => parts.push(self.expr(pattern)?),
                }
                Ok(Expr::Opaque(parts))
            }
            A_Expr_Kind::AEXPR_BETWEEN
            | A_Expr_Kind::AEXPR_NOT_BETWEEN
            | A_Expr_Kind::AEXPR_BETWEEN_SYM
            | A_Expr_Kind::AEXPR_NOT_BETWEEN_SYM => {
                // Not strict in its bounds: `x NOT BETWEEN NULL AND 1` can be true.
                let Node::NodeList(bounds) = right else {
                    return self.refuse("BETWEEN without bounds");
                };
                let expr = self.expr(left)?;
                let bounds = self.opaque(bounds)?;
                Ok(Expr::Strict(vec![expr, bounds]))
            }
            _ => self.refuse("an operator of a kind that is not known"),
        }
    }

    fn plain_operator(
        &mut self,
        name: Option<&str>,
        left: Node<'_>,
        right: Node<'_>,
    ) -> Lowered<Expr> {
        if let Node::None = left {
            return match name {
                Some("-" | "+") => Ok(Expr::Strict(vec![self.expr(right)?])),
                _ => self.opaque([right]),
            };
        }
        let comparison = match name {
            Some("=") => Some(Comparison::Equal),
            Some("<>") => Some(Comparison::NotEqual),
            Some("<" | "<=" | ">" | ">=") => Some(Comparison::Order),
            _ => None,
        };
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        Ok(match (comparison, name) {
            (Some(operator), _) => {
                Expr::Compare { operator, left: Box::new(left), right: Box::new(right) }
            }
            (
                None,
                Some(
                    "+" | "-" | "*" | "/" | "%" | "~" | "~*" | "!~" | "!~*" | "~~" | "~~*" | "!~~"
                    | "!~~*",
                ),
            ) => Expr::Strict(vec![left, right]),
            (None, _) => Expr::Opaque(vec![left, right]),
        })
    }

    /// An operator's name; `None` if it is one of which only the operands matter.
    pub(super) fn known_operator<'t>(&self, name: &'t NodeList) -> Lowered<Option<&'t str>> {
        match texts(name).as_deref() {
            Some([name]) => Ok(Some(name)),
            Some(["pg_catalog", "="]) => Ok(Some("=")),
            Some(["pg_catalog", _]) => Ok(None),
            _ => self.refuse("an operator of a schema that is not pg_catalog"),
        }
    }

    fn sublink(&mut self, link: &nodes::SubLink) -> Lowered<Expr> {
        self.counts.subqueries = self.counts.subqueries.saturating_add(1);
        let test = self.optional(link.testexpr())?;
        let query = Box::new(self.any_query(link.subselect())?);
        // `IN` has no operator's name.
        let name = if link.oper_name().is_empty() {
            Some("=")
        } else {
            self.known_operator(link.oper_name())?
        };
        let equal = name == Some("=");
        match (link.sub_link_type, test) {
            (SubLinkType::EXISTS_SUBLINK, None) => Ok(Expr::Exists { query, negated: false }),
            (SubLinkType::EXPR_SUBLINK, None) => Ok(Expr::Subquery(query)),
            (SubLinkType::ARRAY_SUBLINK, None) => Ok(Expr::Opaque(vec![Expr::Subquery(query)])),
            (SubLinkType::ANY_SUBLINK, Some(test)) if equal => {
                Ok(Expr::InQuery { expr: Box::new(test), query, negated: false })
            }
            (SubLinkType::ANY_SUBLINK | SubLinkType::ALL_SUBLINK, Some(test))
                if is_comparison(name) =>
            {
                Ok(Expr::Quantified(vec![test, Expr::Subquery(query)]))
            }
            (SubLinkType::ANY_SUBLINK | SubLinkType::ALL_SUBLINK, Some(test)) => {
                Ok(Expr::Opaque(vec![test, Expr::Subquery(query)]))
            }
            (_, _) => self.refuse("a subquery of a kind that is not known"),
        }
    }

    /// `(x).field`, `x[1]`, `(x).*`: a field may be a call, so each keeps its name.
    fn indirection(&mut self, indirection: &nodes::A_Indirection) -> Lowered<Expr> {
        let mut value = self.expr(indirection.arg())?;
        for step in indirection.indirection() {
            value = match step {
                Node::String(field) => {
                    let field = self.text(field.sval())?;
                    Expr::Field { base: Box::new(value), name: self.places.loose(field) }
                }
                Node::A_Indices(indices) => {
                    let mut parts = vec![value];
                    parts.extend(self.optional(indices.lidx())?);
                    parts.extend(self.optional(indices.uidx())?);
                    Expr::Opaque(parts)
                }
                Node::A_Star(_) => Expr::Opaque(vec![value]),
                _ => return self.refuse("a subscript that is not known"),
            };
        }
        Ok(value)
    }

    /// What part of a column is assigned: `.field`, `[1]`, `[1:2]`.
    pub(super) fn subscripts(&mut self, list: &NodeList, parts: &mut Vec<Expr>) -> Lowered<()> {
        for step in list {
            match step {
                Node::String(field) => {
                    let field = self.text(field.sval())?;
                    self.places.loose(field);
                }
                Node::A_Indices(indices) => {
                    parts.extend(self.optional(indices.lidx())?);
                    parts.extend(self.optional(indices.uidx())?);
                }
                _ => return self.refuse("a subscript that is not known"),
            }
        }
        Ok(())
    }

    fn case(&mut self, case: &nodes::CaseExpr) -> Lowered<Expr> {
        let mut parts: Vec<Expr> = self.optional(case.arg())?.into_iter().collect();
        for branch in case.args() {
            let Node::CaseWhen(branch) = branch else {
                return self.refuse("a branch of CASE that is not read");
            };
            parts.push(self.expr(branch.expr())?);
            parts.push(self.expr(branch.result())?);
        }
        parts.extend(self.optional(case.defresult())?);
        Ok(Expr::Opaque(parts))
    }
}

/// The call that ESCAPE becomes.
fn is_escape(call: &nodes::FuncCall) -> bool {
    matches!(
        texts(call.funcname()).as_deref(),
        Some(["pg_catalog", "like_escape" | "similar_to_escape"])
    )
}

fn is_comparison(name: Option<&str>) -> bool {
    matches!(name, Some("=" | "<>" | "<" | "<=" | ">" | ">="))
}
