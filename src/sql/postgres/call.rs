use pg_raw_parse::raw::CoercionForm;
use pg_raw_parse::{Node, nodes};

use super::places::texts;
use super::{Lowered, Lowering};
use crate::sql::model::{Call, Expr, Name, Window};

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: &nodes::FuncCall) -> Lowered<Expr> {
        self.counts.calls = self.counts.calls.saturating_add(1);
        let arguments = self.exprs(call.args())?;
        let inside = self.order_keys(call.agg_order())?;
        let filter = self.optional(call.agg_filter())?;
        let over = call.over().map(|window| self.over(window)).transpose()?;
        if call.funcformat == CoercionForm::COERCE_SQL_SYNTAX {
            return self.sql_syntax(call, arguments);
        }
        let mut names = self.qualified(call.funcname(), call.location)?;
        let Some(name) = names.pop() else {
            return self.refuse("a call without a name");
        };
        let qualifier = names;
        Ok(Expr::Call(Box::new(Call { qualifier, name, arguments, inside, filter, over })))
    }

    /// What the grammar makes a call of: EXTRACT, POSITION, AT TIME ZONE …
    fn sql_syntax(&mut self, call: &nodes::FuncCall, arguments: Vec<Expr>) -> Lowered<Expr> {
        match texts(call.funcname()).as_deref() {
            Some(["pg_catalog", "timezone"]) => {
                let name = Name { text: "timezone".into(), span: self.statement };
                Ok(plain_call(name, arguments))
            }
            Some(["pg_catalog", _]) => Ok(Expr::Opaque(arguments)),
            _ => self.refuse("a call that is not read"),
        }
    }

    /// A call by a word of the grammar's own.
    pub(super) fn named_call<'t>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = Node<'t>>,
        location: i32,
    ) -> Lowered<Expr> {
        let arguments = self.exprs(arguments)?;
        let name = self.places.one(name, location);
        Ok(plain_call(name, arguments))
    }

    pub(super) fn over(&mut self, window: &nodes::WindowDef) -> Lowered<Window> {
        let base = window.refname().or(window.name()).map(|name| self.places.loose(name));
        Ok(Window { base, ..self.window_parts(window)? })
    }

    /// A window without its names.
    pub(super) fn window_parts(&mut self, window: &nodes::WindowDef) -> Lowered<Window> {
        let partition = self.exprs(window.partition_clause())?;
        let mut inside = self.order_keys(window.order_clause())?;
        inside.extend(self.optional(window.start_offset())?);
        inside.extend(self.optional(window.end_offset())?);
        Ok(Window { base: None, name: None, partition, inside })
    }
}

fn plain_call(name: Name, arguments: Vec<Expr>) -> Expr {
    let (qualifier, inside) = (Vec::new(), Vec::new());
    Expr::Call(Box::new(Call { qualifier, name, arguments, inside, filter: None, over: None }))
}
