use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Expr as Parsed, Subscript,
    TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::{Lowered, Lowering};
use crate::sql::Literal;
use crate::sql::keyword::is_value_function;
use crate::sql::model::{Call, Comparison, Constant, Expr, Name, Query};
use crate::sql::token::Lexeme;

impl Lowering<'_> {
    pub(super) fn exprs(&mut self, exprs: Vec<Parsed>) -> Lowered<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }

    fn opaque(&mut self, parts: impl IntoIterator<Item = Box<Parsed>>) -> Lowered<Expr> {
        self.parts(parts).map(Expr::Opaque)
    }

    fn parts(&mut self, parts: impl IntoIterator<Item = Box<Parsed>>) -> Lowered<Vec<Expr>> {
        parts.into_iter().map(|part| self.unboxed(part)).collect()
    }

    fn boxed(&mut self, expr: Box<Parsed>) -> Lowered<Box<Expr>> {
        self.unboxed(expr).map(Box::new)
    }

    fn unboxed(&mut self, expr: Box<Parsed>) -> Lowered<Expr> {
        self.expr(*expr)
    }

    /// This is as deep in itself as an expression is, so its frame must be small: a node of the
    /// parser's is taken out of its box by the functions that it calls, never here.
    #[expect(clippy::too_many_lines, reason = "one flat match over the parser's expressions")]
    pub(super) fn expr(&mut self, expr: Parsed) -> Lowered<Expr> {
        match expr {
            Parsed::Identifier(ident) => {
                if ident.quote_style.is_none()
                    && is_value_function(&ident.value.to_ascii_lowercase())
                {
                    return Ok(Expr::Opaque(Vec::new()));
                }
                Ok(Expr::Column(vec![self.name(&ident)?]))
            }
            Parsed::CompoundIdentifier(parts) => self.names(&parts).map(Expr::Column),
            Parsed::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Parsed::IsTrue(expr) => self.boxed(expr).map(Expr::IsTrue),
            Parsed::IsFalse(expr)
            | Parsed::IsNotFalse(expr)
            | Parsed::IsNotTrue(expr)
            | Parsed::IsUnknown(expr)
            | Parsed::IsNotUnknown(expr)
            | Parsed::IsJson { expr, kind: _, unique_keys: _, negated: _ }
            | Parsed::IsNormalized { expr, form: _, negated: _ }
            | Parsed::Extract { field: _, syntax: _, expr }
            | Parsed::Ceil { expr, field: CeilFloorKind::DateTimeField(_) }
            | Parsed::Floor { expr, field: CeilFloorKind::DateTimeField(_) } => self.opaque([expr]),
            Parsed::IsNull(expr) => self.null_test(expr, false),
            Parsed::IsNotNull(expr) => self.null_test(expr, true),
            Parsed::IsDistinctFrom(left, right) => self.distinct(left, right, false),
            Parsed::IsNotDistinctFrom(left, right) => self.distinct(left, right, true),
            Parsed::InList { expr, list, negated } => self.in_list(expr, list, negated),
            Parsed::InSubquery { expr, subquery, negated } => {
                self.in_query(expr, subquery, negated)
            }
            Parsed::Between { expr, negated: _, low, high } => self.between(expr, low, high),
            Parsed::BinaryOp { left, op, right } => self.binary(left, op, right),
            Parsed::Like { negated: _, any, expr, pattern, escape_char }
            | Parsed::ILike { negated: _, any, expr, pattern, escape_char } => {
                let parts = self.parts([expr, pattern].into_iter().chain(escape_char));
                parts.map(if any { Expr::Opaque } else { Expr::Strict })
            }
            Parsed::SimilarTo { negated: _, expr, pattern, escape_char } => {
                self.opaque([expr, pattern].into_iter().chain(escape_char))
            }
            Parsed::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, &compare_op, right, true)
            }
            Parsed::AllOp { left, compare_op, right } => {
                self.quantified(left, &compare_op, right, false)
            }
            Parsed::UnaryOp { op, expr } => self.unary(op, expr),
            Parsed::Cast { kind, expr, data_type, format } => {
                self.absent(format.is_none(), "CAST … FORMAT")?;
                match kind {
                    CastKind::Cast | CastKind::DoubleColon => self.cast(expr, &data_type),
                    CastKind::TryCast | CastKind::SafeCast => {
                        self.refuse("a cast that PostgreSQL does not have")
                    }
                }
            }
            Parsed::AtTimeZone { timestamp, time_zone } => self.time_zone(timestamp, time_zone),
            Parsed::Position { expr, r#in } => self.opaque([expr, r#in]),
            Parsed::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.opaque([expr].into_iter().chain(substring_from).chain(substring_for))
            }
            Parsed::Trim { trim_where: _, trim_what, expr, trim_characters } => {
                self.trim(expr, trim_what, trim_characters.unwrap_or_default())
            }
            Parsed::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.opaque([expr, overlay_what, overlay_from].into_iter().chain(overlay_for))
            }
            Parsed::Collate { expr, collation } => {
                self.object_name(&collation)?;
                self.opaque([expr])
            }
            Parsed::Nested(expr) => self.unboxed(expr),
            Parsed::Value(value) => self.constant(value),
            Parsed::TypedString(TypedString { data_type, value, uses_odbc_syntax }) => {
                self.absent(!uses_odbc_syntax, "ODBC syntax")?;
                self.typed_string(&data_type, value)
            }
            Parsed::Function(function) => self.function(function),
            Parsed::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case(operand, conditions, else_result)
            }
            Parsed::Exists { subquery, negated } => {
                Ok(Expr::Exists { query: self.subquery(subquery)?, negated })
            }
            Parsed::Subquery(query) => self.subquery(query).map(Expr::Subquery),
            Parsed::GroupingSets(sets) | Parsed::Cube(sets) | Parsed::Rollup(sets) => {
                self.exprs(sets.into_iter().flatten().collect()).map(Expr::Opaque)
            }
            Parsed::Tuple(parts) => self.exprs(parts).map(Expr::Row),
            Parsed::Array(ast::Array { elem, named: _ }) => self.exprs(elem).map(Expr::Array),
            Parsed::Interval(interval) => self.interval(interval),
            Parsed::QualifiedWildcard(name, _) => {
                self.object_name(&name)?;
                Ok(Expr::Opaque(Vec::new()))
            }
            _ => self.refuse("an expression that is not read"),
        }
    }

    fn subquery(&mut self, query: Box<ast::Query>) -> Lowered<Box<Query>> {
        self.query(*query).map(Box::new)
    }

    fn null_test(&mut self, expr: Box<Parsed>, negated: bool) -> Lowered<Expr> {
        Ok(Expr::IsNull { expr: self.boxed(expr)?, negated })
    }

    fn in_list(&mut self, expr: Box<Parsed>, list: Vec<Parsed>, negated: bool) -> Lowered<Expr> {
        Ok(Expr::InList { expr: self.boxed(expr)?, list: self.exprs(list)?, negated })
    }

    fn in_query(
        &mut self,
        expr: Box<Parsed>,
        query: Box<ast::Query>,
        negated: bool,
    ) -> Lowered<Expr> {
        Ok(Expr::InQuery { expr: self.boxed(expr)?, query: self.subquery(query)?, negated })
    }

    /// Not strict in its bounds: `x NOT BETWEEN NULL AND 1` can be true.
    fn between(&mut self, expr: Box<Parsed>, low: Box<Parsed>, high: Box<Parsed>) -> Lowered<Expr> {
        Ok(Expr::Strict(vec![self.unboxed(expr)?, self.opaque([low, high])?]))
    }

    fn cast(&mut self, expr: Box<Parsed>, target: &ast::DataType) -> Lowered<Expr> {
        Ok(Expr::Cast { expr: self.boxed(expr)?, target: self.type_name(target)? })
    }

    fn typed_string(&mut self, target: &ast::DataType, value: ValueWithSpan) -> Lowered<Expr> {
        let target = self.type_name(target)?;
        Ok(Expr::Cast { expr: Box::new(self.constant(value)?), target })
    }

    /// The call that PostgreSQL makes of it, which fails on a name it does not know.
    fn time_zone(&mut self, timestamp: Box<Parsed>, time_zone: Box<Parsed>) -> Lowered<Expr> {
        let name = Name { text: "timezone".into(), span: self.statement };
        let arguments = self.parts([time_zone, timestamp])?;
        Ok(Expr::Call(Box::new(Call {
            qualifier: Vec::new(),
            name,
            arguments,
            inside: Vec::new(),
            filter: None,
            over: None,
        })))
    }

    fn trim(
        &mut self,
        expr: Box<Parsed>,
        what: Option<Box<Parsed>>,
        characters: Vec<Parsed>,
    ) -> Lowered<Expr> {
        let mut parts = self.parts([expr].into_iter().chain(what))?;
        parts.extend(self.exprs(characters)?);
        Ok(Expr::Opaque(parts))
    }

    fn case(
        &mut self,
        operand: Option<Box<Parsed>>,
        conditions: Vec<ast::CaseWhen>,
        otherwise: Option<Box<Parsed>>,
    ) -> Lowered<Expr> {
        let mut parts = self.parts(operand)?;
        for ast::CaseWhen { condition, result } in conditions {
            parts.push(self.expr(condition)?);
            parts.push(self.expr(result)?);
        }
        parts.extend(self.parts(otherwise)?);
        Ok(Expr::Opaque(parts))
    }

    fn distinct(&mut self, left: Box<Parsed>, right: Box<Parsed>, negated: bool) -> Lowered<Expr> {
        Ok(Expr::IsDistinct { left: self.boxed(left)?, right: self.boxed(right)?, negated })
    }

    /// Fields and elements of a value. Names behind a bare name are parts of that column's name.
    fn access(&mut self, root: Box<Parsed>, chain: Vec<AccessExpr>) -> Lowered<Expr> {
        let mut is_name = matches!(*root, Parsed::Identifier(_) | Parsed::CompoundIdentifier(_));
        let mut value = self.unboxed(root)?;
        for access in chain {
            let mut parts = Vec::new();
            match access {
                AccessExpr::Dot(Parsed::Identifier(ident)) => {
                    let name = self.name(&ident)?;
                    value = match value {
                        Expr::Column(mut parts) if is_name => {
                            parts.push(name);
                            Expr::Column(parts)
                        }
                        base => Expr::Field { base: Box::new(base), name },
                    };
                    continue;
                }
                AccessExpr::Dot(_) => return self.refuse("a field access that is not a name"),
                AccessExpr::Subscript(Subscript::Index { index }) => parts.push(self.expr(index)?),
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    self.absent(stride.is_none(), "a slice with a stride")?;
                    for bound in [lower_bound, upper_bound].into_iter().flatten() {
                        parts.push(self.expr(bound)?);
                    }
                }
            }
            is_name = false;
            parts.insert(0, value);
            value = Expr::Opaque(parts);
        }
        Ok(value)
    }

    fn binary(
        &mut self,
        left: Box<Parsed>,
        op: BinaryOperator,
        right: Box<Parsed>,
    ) -> Lowered<Expr> {
        match op {
            BinaryOperator::And => self.chain(left, right, &BinaryOperator::And).map(Expr::And),
            BinaryOperator::Or => self.chain(left, right, &BinaryOperator::Or).map(Expr::Or),
            BinaryOperator::Eq => self.compare(Comparison::Equal, left, right),
            BinaryOperator::NotEq => self.compare(Comparison::NotEqual, left, right),
            BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => self.compare(Comparison::Order, left, right),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
            | BinaryOperator::PGLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGNotILikeMatch => self.parts([left, right]).map(Expr::Strict),
            BinaryOperator::PGCustomBinaryOperator(name) => {
                match name.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["pg_catalog", "="] => self.compare(Comparison::Equal, left, right),
                    ["pg_catalog", _] => self.opaque([left, right]),
                    _ => self.refuse("an operator of a schema that is not pg_catalog"),
                }
            }
            BinaryOperator::Spaceship
            | BinaryOperator::Xor
            | BinaryOperator::DuckIntegerDivide
            | BinaryOperator::MyIntegerDivide
            | BinaryOperator::Match
            | BinaryOperator::Regexp
            | BinaryOperator::Glob
            | BinaryOperator::Assignment => {
                self.refuse("an operator that PostgreSQL does not have")
            }
            _ => self.opaque([left, right]),
        }
    }

    /// The operands of a chain of one operator, which the parser makes a tree as deep as it is long.
    fn chain(
        &mut self,
        left: Box<Parsed>,
        right: Box<Parsed>,
        op: &BinaryOperator,
    ) -> Lowered<Vec<Expr>> {
        let mut operands = vec![right];
        let mut rest = left;
        loop {
            match *rest {
                Parsed::BinaryOp { left, op: this, right } if this == *op => {
                    operands.push(right);
                    rest = left;
                }
                first => {
                    operands.push(Box::new(first));
                    break;
                }
            }
        }
        operands.reverse();
        self.parts(operands)
    }

    fn compare(
        &mut self,
        operator: Comparison,
        left: Box<Parsed>,
        right: Box<Parsed>,
    ) -> Lowered<Expr> {
        Ok(Expr::Compare { operator, left: self.boxed(left)?, right: self.boxed(right)? })
    }

    fn quantified(
        &mut self,
        left: Box<Parsed>,
        op: &BinaryOperator,
        right: Box<Parsed>,
        any: bool,
    ) -> Lowered<Expr> {
        let expr = self.boxed(left)?;
        let right = self.unboxed(right)?;
        let equal = any && *op == BinaryOperator::Eq;
        if let BinaryOperator::PGCustomBinaryOperator(_) = op {
            return self.refuse("OPERATOR() with ANY or ALL");
        }
        Ok(match right {
            Expr::Subquery(query) if equal => Expr::InQuery { expr, query, negated: false },
            array if equal => Expr::EqualsAny { expr, array: Box::new(array) },
            other if is_comparison(op) => Expr::Quantified(vec![*expr, other]),
            other => Expr::Opaque(vec![*expr, other]),
        })
    }

    fn unary(&mut self, op: UnaryOperator, expr: Box<Parsed>) -> Lowered<Expr> {
        match op {
            UnaryOperator::Not => Ok(Expr::Not(self.boxed(expr)?)),
            UnaryOperator::Minus => Ok(match self.unboxed(expr)? {
                Expr::Constant(Constant::Number(digits)) if !digits.is_negative() => {
                    Expr::Constant(Constant::Number(digits.negated()))
                }
                other => Expr::Strict(vec![other]),
            }),
            UnaryOperator::Plus => self.parts([expr]).map(Expr::Strict),
            UnaryOperator::BangNot => self.refuse("an operator that PostgreSQL does not have"),
            _ => self.opaque([expr]),
        }
    }

    fn constant(&mut self, value: ValueWithSpan) -> Lowered<Expr> {
        let ValueWithSpan { value, span } = value;
        let lexeme = self.lexeme_at(span.start).map(|(_, lexeme)| lexeme);
        let escaped = lexeme.is_none_or(Lexeme::is_escaped);
        Ok(Expr::Constant(match value {
            Value::Number(digits, false) => Constant::Number(Literal::new(digits, lexeme)),
            // Escapes of E'…' are decoded by rules of their own: such a text is a constant, but not
            // one whose value is believed. Those of U&'…' are just code points (UESCAPE is refused).
            Value::EscapedStringLiteral(_) if escaped => Constant::Other,
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text) => Constant::Text(Literal::new(text, lexeme)),
            Value::DollarQuotedString(text) => Constant::Text(Literal::new(text.value, lexeme)),
            Value::NationalStringLiteral(_)
            | Value::SingleQuotedByteStringLiteral(_)
            | Value::HexStringLiteral(_) => Constant::Other,
            Value::Boolean(value) => Constant::Boolean(value),
            Value::Null => Constant::Null,
            Value::Placeholder(name) => {
                let number = name.strip_prefix('$').and_then(|digits| digits.parse::<u16>().ok());
                return match number {
                    Some(number) if number > 0 => Ok(Expr::Parameter(number)),
                    Some(_) | None => self.refuse("a parameter number out of range"),
                };
            }
            _ => return self.refuse("a constant that PostgreSQL does not have"),
        }))
    }

    /// `INTERVAL '…'`. With anything but a string behind it, `interval` is a column to PostgreSQL.
    fn interval(&mut self, interval: ast::Interval) -> Lowered<Expr> {
        let ast::Interval {
            value,
            leading_field: _,
            leading_precision: _,
            last_field: _,
            fractional_seconds_precision: _,
        } = interval;
        match *value {
            Parsed::Value(value)
                if matches!(
                    value.value,
                    Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)
                ) =>
            {
                Ok(Expr::Constant(Constant::Other))
            }
            _ => self.refuse("INTERVAL without a string"),
        }
    }
}

const fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}
