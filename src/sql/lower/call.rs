use sqlparser::ast::{
    self, Expr as Parsed, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, JsonReturningClause, WindowFrame, WindowFrameBound,
    WindowSpec, WindowType,
};

use super::{Lowered, Lowering};
use crate::sql::keyword::is_value_function;
use crate::sql::model::{Call, Expr, Name, Window};

impl Lowering<'_> {
    pub(super) fn function(&mut self, function: ast::Function) -> Lowered<Expr> {
        let ast::Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment: _,
            over,
        } = function;
        self.absent(
            !uses_odbc_syntax && matches!(parameters, FunctionArguments::None),
            "a call that PostgreSQL does not have",
        )?;
        let bare = match name.0.as_slice() {
            [ast::ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => {
                ident.value.to_ascii_lowercase()
            }
            _ => String::new(),
        };
        match args {
            FunctionArguments::None if is_value_function(&bare) => Ok(Expr::Opaque(Vec::new())),
            FunctionArguments::None => self.refuse("a call without parentheses"),
            FunctionArguments::Subquery(query) if bare == "array" => {
                Ok(Expr::Opaque(vec![Expr::Subquery(Box::new(self.query(*query)?))]))
            }
            FunctionArguments::Subquery(query) => {
                let (qualifier, name) = self.qualified(&name)?;
                let argument = Expr::Subquery(Box::new(self.query(*query)?));
                self.finish(qualifier, name, vec![argument], Vec::new(), within_group, filter, over)
            }
            FunctionArguments::List(list) => {
                let (arguments, inside) = self.arguments(list)?;
                if bare == "row" {
                    return Ok(Expr::Row(arguments));
                }
                if is_value_function(&bare) {
                    return Ok(Expr::Opaque(arguments));
                }
                let (qualifier, name) = self.qualified(&name)?;
                self.finish(qualifier, name, arguments, inside, within_group, filter, over)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a call, put together once")]
    fn finish(
        &mut self,
        qualifier: Vec<Name>,
        name: Name,
        arguments: Vec<Expr>,
        mut inside: Vec<Expr>,
        within_group: Vec<ast::OrderByExpr>,
        filter: Option<Box<Parsed>>,
        over: Option<WindowType>,
    ) -> Lowered<Expr> {
        inside.extend(self.order_keys(within_group)?);
        let filter = filter.map(|filter| self.expr(*filter)).transpose()?;
        let over = match over {
            None => None,
            Some(WindowType::WindowSpec(spec)) => Some(self.window(spec)?),
            Some(WindowType::NamedWindow(name)) => Some(Window {
                base: Some(self.name(&name)?),
                name: None,
                partition: Vec::new(),
                inside: Vec::new(),
            }),
        };
        Ok(Expr::Call(Box::new(Call { qualifier, name, arguments, inside, filter, over })))
    }

    /// A call in FROM.
    pub(super) fn call(&mut self, name: &ast::ObjectName, args: Vec<FunctionArg>) -> Lowered<Expr> {
        let (qualifier, name) = self.qualified(name)?;
        let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
        let (arguments, inside) = self.arguments(list)?;
        self.finish(qualifier, name, arguments, inside, Vec::new(), None, None)
    }

    fn arguments(&mut self, list: FunctionArgumentList) -> Lowered<(Vec<Expr>, Vec<Expr>)> {
        let FunctionArgumentList { duplicate_treatment: _, args, clauses } = list;
        let mut arguments = Vec::with_capacity(args.len());
        for arg in args {
            let arg = match arg {
                FunctionArg::Named { name, arg, operator: _ } => {
                    self.name(&name)?;
                    arg
                }
                FunctionArg::ExprNamed { name: Parsed::Identifier(name), arg, operator: _ } => {
                    self.name(&name)?;
                    arg
                }
                FunctionArg::ExprNamed { .. } => {
                    return self.refuse("an argument named by an expression");
                }
                FunctionArg::Unnamed(arg) => arg,
            };
            match arg {
                FunctionArgExpr::Expr(expr) => arguments.push(self.expr(expr)?),
                FunctionArgExpr::QualifiedWildcard(name) => {
                    self.object_name(&name)?;
                    arguments.push(Expr::Opaque(Vec::new()));
                }
                FunctionArgExpr::Wildcard => {}
                FunctionArgExpr::WildcardWithOptions(_) => {
                    return self.refuse("a wildcard with options");
                }
            }
        }
        let mut inside = Vec::new();
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => inside.extend(self.order_keys(keys)?),
                FunctionArgumentClause::JsonNullClause(_) => {}
                FunctionArgumentClause::JsonReturningClause(JsonReturningClause { data_type }) => {
                    self.type_name(&data_type)?;
                }
                _ => return self.refuse("an argument clause that PostgreSQL does not have"),
            }
        }
        Ok((arguments, inside))
    }

    pub(super) fn window(&mut self, spec: WindowSpec) -> Lowered<Window> {
        let WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        let base = window_name.map(|name| self.name(&name)).transpose()?;
        let partition = self.exprs(partition_by)?;
        let mut inside = self.order_keys(order_by)?;
        if let Some(WindowFrame { units: _, start_bound, end_bound }) = window_frame {
            for bound in [Some(start_bound), end_bound].into_iter().flatten() {
                match bound {
                    WindowFrameBound::CurrentRow => {}
                    WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => {
                        if let Some(offset) = offset {
                            inside.push(self.expr(*offset)?);
                        }
                    }
                }
            }
        }
        Ok(Window { base, name: None, partition, inside })
    }
}
