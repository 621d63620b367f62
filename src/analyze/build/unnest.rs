//! `unnest` in FROM: each array is a column, whose values are its elements.

use super::super::array::text_elements;
use super::super::graph::{
    Arm, ArmColumn, Length, Operand, Output, OutputId, ReferenceId, Source as GraphSource, Term,
};
use super::Builder;
use crate::sql::model::{Constant, Expr, TypeName};

impl Builder<'_> {
    /// The rows of `unnest`, of which each array is a column; all have the function's name.
    pub(super) fn unnest(&mut self, arrays: &[Expr]) -> OutputId {
        let mut columns = Vec::with_capacity(arrays.len());
        for operand in self.unnested(arrays) {
            let term = operand.map(|operand| Term::Operand(self.graph.operand(operand)));
            columns.push(ArmColumn::One { name: Some("unnest".into()), term });
        }
        let context = self.graph.context(None, Vec::new());
        let arm = Arm::of(context, columns);
        self.graph.output(Output { arms: vec![arm], ..Output::default() })
    }

    /// The arrays of `unnest`: each with what its elements are compared as, if they may be tenants.
    fn unnested(&self, arrays: &[Expr]) -> Vec<Option<Operand>> {
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

    /// The columns of `unnest`, whose values are known wherever they stand.
    pub(super) fn unnested_columns(&self, reference: ReferenceId) -> Option<Vec<ArmColumn>> {
        let Some(GraphSource::Output(output)) = self.source_of(reference) else {
            return None;
        };
        let [arm] = self.graph.outputs.get(*output)?.arms.as_slice() else {
            return None;
        };
        let is_operand = |column: &ArmColumn| match column {
            ArmColumn::One { term: None | Some(Term::Operand(_)), name: _ } => true,
            ArmColumn::One { term: Some(Term::Column(_)), name: _ } | ArmColumn::Rest(_) => false,
        };
        arm.columns.iter().all(is_operand).then(|| arm.columns.clone())
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
