//! What is compared with the tenant column: only what has its type already, so that `=` is that
//! type's own. Between uuid and text there may be an `=` that somebody made.

use super::super::array::text_elements;
use super::super::graph::{Cast, Length, Named, Operand};
use super::{Builder, sole_value};
use crate::sql::model::{Call, Constant, Expr, TypeName};
use crate::tenant::TenantType;

impl Builder<'_> {
    /// A constant, a parameter or the tenant's setting, of the tenant's type or of none yet.
    pub(super) fn value(&self, expr: &Expr) -> Option<Operand> {
        let tenant_type = self.policy.tenant_type;
        match expr {
            Expr::Constant(Constant::Text(text)) => {
                let (tenant, slot) = text.settled(|text| tenant_type.parse(text));
                Some(Operand::Constant(Named { tenant, slot }))
            }
            Expr::Constant(Constant::Number(digits)) if tenant_type == TenantType::Bigint => {
                let (tenant, slot) = digits.settled(|digits| tenant_type.parse(digits));
                if tenant.is_none() {
                    // One that is no tenant at all makes another statement of it.
                    digits.pin();
                    return None;
                }
                Some(Operand::Constant(Named { tenant, slot }))
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

    /// The arrays of `unnest`: each with what its elements are compared as, if they may be tenants.
    pub(super) fn unnested(&self, arrays: &[Expr]) -> Vec<Option<Operand>> {
        let lengths: Vec<Length> = arrays.iter().map(length).collect();
        let mut operands = Vec::with_capacity(arrays.len());
        for (own, array) in arrays.iter().enumerate() {
            let beside = lengths.iter().enumerate().filter(|(other, _)| *other != own);
            let beside = beside.map(|(_, length)| *length).collect();
            operands.push(
                self.elements(array)
                    .map(|array| Operand::Unnested { array: Box::new(array), beside }),
            );
        }
        operands
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
                let elements = text_elements(text.read())?;
                let parse = |element: Option<String>| match element {
                    Some(text) => Operand::Constant(Named {
                        tenant: self.policy.tenant_type.parse(&text),
                        slot: None,
                    }),
                    None => Operand::Null,
                };
                Some(Operand::All(elements.into_iter().map(parse).collect()))
            }
            _ => None,
        }
    }
}

/// How many elements an array has that is cast to one of a type that is known: an array of constants
/// has no arrays in it.
fn length(expr: &Expr) -> Length {
    match expr {
        Expr::Cast { expr, target: TypeName::Array(_) } => length(expr),
        Expr::Parameter(number) => Length::Parameter(*number),
        Expr::Constant(Constant::Text(text)) => text_elements(text.read())
            .map_or(Length::Unknown, |elements| Length::Known(elements.len())),
        Expr::Array(elements)
            if elements.iter().all(|element| matches!(element, Expr::Constant(_))) =>
        {
            Length::Known(elements.len())
        }
        _ => Length::Unknown,
    }
}

/// `upper(…)` or `lower(…)` of `pg_catalog`.
fn is_case(call: &Call) -> bool {
    let own = call.qualifier.iter().all(|schema| &*schema.text == "pg_catalog");
    own && matches!(&*call.name.text, "upper" | "lower") && call.over.is_none()
}
