//! Whether a predicate rejects rows in which some references are all NULL. Outer joins are reduced
//! by it before anything is proved, as PostgreSQL's planner does (`reduce_outer_joins`).

use super::super::graph::ReferenceId;
use super::super::has::Has;
use super::{Builder, Scope};
use crate::sql::model::{Comparison, Expr};

impl Builder<'_> {
    /// Whether the predicate cannot be true when every column of these references is NULL.
    pub(super) fn rejects(
        &mut self,
        expr: &Expr,
        references: &[ReferenceId],
        scope: &Scope<'_>,
    ) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().any(|part| self.rejects(part, references, scope)),
            Expr::Or(parts) => parts.iter().all(|part| self.rejects(part, references, scope)),
            Expr::Not(inner) => self.rejects_negated(inner, references, scope),
            Expr::IsTrue(inner) => self.rejects(inner, references, scope),
            Expr::IsNull { expr, negated: true }
            | Expr::InList { expr, list: _, negated: _ }
            | Expr::InQuery { expr, query: _, negated: false }
            | Expr::EqualsAny { expr, array: _ } => self.is_null(expr, references, scope),
            Expr::Compare { operator: Comparison::Equal, left, right } => match (&**left, &**right)
            {
                // `=` of rows is never true with a NULL in it.
                (Expr::Row(left), Expr::Row(right)) => {
                    left.iter().chain(right).any(|part| self.is_null(part, references, scope))
                }
                (left, right) => {
                    self.is_null(left, references, scope) || self.is_null(right, references, scope)
                }
            },
            other => self.is_null(other, references, scope),
        }
    }

    fn rejects_negated(
        &mut self,
        expr: &Expr,
        references: &[ReferenceId],
        scope: &Scope<'_>,
    ) -> bool {
        match expr {
            Expr::And(parts) => {
                parts.iter().all(|part| self.rejects_negated(part, references, scope))
            }
            Expr::Or(parts) => {
                parts.iter().any(|part| self.rejects_negated(part, references, scope))
            }
            Expr::Not(inner) => self.rejects(inner, references, scope),
            Expr::IsNull { expr, negated: false } => self.is_null(expr, references, scope),
            other => self.is_null(other, references, scope),
        }
    }

    /// Whether the expression is NULL when every column of these references is.
    fn is_null(&mut self, expr: &Expr, references: &[ReferenceId], scope: &Scope<'_>) -> bool {
        match expr {
            Expr::Column(parts) => {
                let found = match parts.as_slice() {
                    [name] => self.owner(&name.text, scope),
                    _ => self
                        .resolve(parts, scope)
                        .and_then(|id| Some(self.graph.columns.get(id)?.reference)),
                };
                found.is_some_and(|reference| references.contains(&reference))
            }
            Expr::Cast { expr, target: _ } => self.is_null(expr, references, scope),
            // Of rows, some comparisons with a NULL in them are true or false all the same.
            Expr::Compare { operator: _, left, right } => {
                self.is_null(left, references, scope) || self.is_null(right, references, scope)
            }
            Expr::InList { expr, list: _, negated: _ } => self.is_null(expr, references, scope),
            Expr::Strict(parts) => parts.iter().any(|part| self.is_null(part, references, scope)),
            _ => false,
        }
    }

    /// The reference that an unqualified name surely belongs to.
    fn owner(&mut self, name: &str, scope: &Scope<'_>) -> Option<ReferenceId> {
        let column = self.resolve_bare(name, scope)?;
        let reference = self.graph.columns.get(column)?.reference;
        (self.graph.has(reference, name) != Has::No).then_some(reference)
    }
}
