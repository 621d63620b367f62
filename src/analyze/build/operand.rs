//! What is compared with the tenant column: only what has its type already, so that `=` is that
//! type's own. Between uuid and text there may be an `=` that somebody made.

use super::super::array::text_elements;
use super::super::graph::{Cast, Operand};
use super::{Builder, sole_value};
use crate::sql::model::{Call, Constant, Expr, TypeName};
use crate::tenant::TenantType;

impl Builder<'_> {
    /// A constant, a parameter or the tenant's setting, of the tenant's type or of none yet.
    pub(super) fn value(&self, expr: &Expr) -> Option<Operand> {
        let tenant_type = self.policy.tenant_type;
        match expr {
            Expr::Constant(Constant::Text(text)) => {
                Some(Operand::Constant(tenant_type.parse(text)))
            }
            Expr::Constant(Constant::Number(digits)) if tenant_type == TenantType::Bigint => {
                tenant_type.parse(digits).map(|tenant| Operand::Constant(Some(tenant)))
            }
            Expr::Constant(Constant::Null) => Some(Operand::Null),
            Expr::Parameter(number) => {
                Some(Operand::Parameter { number: *number, cast: Cast::None })
            }
            Expr::Cast { expr, target } if self.keeps_type(target) => self.cast(expr),
            Expr::Call(call) if tenant_type == TenantType::Text => self.setting_operand(call),
            Expr::Subquery(query) => self.typed(sole_value(query)?),
            _ => None,
        }
    }

    /// What is cast to the tenant's type: itself of that type or of none, or a text.
    fn cast(&self, expr: &Expr) -> Option<Operand> {
        match expr {
            Expr::Parameter(number) => {
                Some(Operand::Parameter { number: *number, cast: Cast::Own })
            }
            Expr::Cast { expr, target: TypeName::Plain("text") } => match &**expr {
                Expr::Parameter(number) => {
                    Some(Operand::Parameter { number: *number, cast: Cast::ViaText })
                }
                Expr::Constant(Constant::Text(_)) => self.value(expr),
                Expr::Call(call) => self.setting_operand(call),
                _ => None,
            },
            // A uuid is the same in either case.
            Expr::Call(call) if self.policy.tenant_type == TenantType::Uuid && is_case(call) => {
                match call.arguments.as_slice() {
                    [Expr::Parameter(number)] => {
                        Some(Operand::Parameter { number: *number, cast: Cast::ViaText })
                    }
                    [text @ Expr::Constant(Constant::Text(_) | Constant::Null)] => self.value(text),
                    _ => None,
                }
            }
            Expr::Call(call) => self.setting_operand(call),
            Expr::Subquery(query) => self.cast(sole_value(query)?),
            other => self.value(other),
        }
    }

    /// A value where PostgreSQL takes a literal or parameter without a type for a text: the result
    /// of a subquery, an element of an array.
    fn typed(&self, expr: &Expr) -> Option<Operand> {
        match (expr, self.policy.tenant_type) {
            (
                Expr::Constant(Constant::Text(_)) | Expr::Parameter(_),
                TenantType::Uuid | TenantType::Bigint,
            ) => None,
            (other, _) => self.value(other),
        }
    }

    fn keeps_type(&self, target: &TypeName) -> bool {
        match (self.policy.tenant_type, target) {
            (TenantType::Uuid, TypeName::Plain("uuid"))
            | (TenantType::Text, TypeName::Plain("text" | "varchar"))
            | (TenantType::Bigint, TypeName::Plain("bigint" | "integer" | "smallint")) => true,
            (_, TypeName::Plain(_) | TypeName::Array(_) | TypeName::Other) => false,
        }
    }

    /// The array of `= ANY(…)`: each of its elements is compared.
    pub(super) fn elements(&self, expr: &Expr) -> Option<Operand> {
        match expr {
            // One element with a type gives it to those without.
            Expr::Array(elements)
                if elements.iter().any(|element| {
                    self.typed(element).is_some_and(|operand| operand != Operand::Null)
                }) =>
            {
                let elements = elements.iter().map(|element| self.value(element));
                elements.collect::<Option<_>>().map(Operand::All)
            }
            Expr::Parameter(number) => {
                Some(Operand::Elements { number: *number, cast: Cast::None })
            }
            Expr::Cast { expr, target: TypeName::Array(name) }
                if self.keeps_type(&TypeName::Plain(name)) =>
            {
                match &**expr {
                    Expr::Parameter(number) => {
                        Some(Operand::Elements { number: *number, cast: Cast::Own })
                    }
                    // The cast is one of each element.
                    Expr::Array(elements) => {
                        let elements = elements.iter().map(|element| self.cast(element));
                        elements.collect::<Option<_>>().map(Operand::All)
                    }
                    other => self.elements(other),
                }
            }
            Expr::Constant(Constant::Text(text)) => {
                let elements = text_elements(text)?;
                let parse = |element: Option<String>| match element {
                    Some(text) => Operand::Constant(self.policy.tenant_type.parse(&text)),
                    None => Operand::Null,
                };
                Some(Operand::All(elements.into_iter().map(parse).collect()))
            }
            _ => None,
        }
    }
}

/// `upper(…)` or `lower(…)` of `pg_catalog`.
fn is_case(call: &Call) -> bool {
    let own = call.qualifier.iter().all(|schema| &*schema.text == "pg_catalog");
    own && matches!(&*call.name.text, "upper" | "lower") && call.over.is_none()
}
