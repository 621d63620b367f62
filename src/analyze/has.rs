//! Whether a reference has a column, as far as names tell.

use std::collections::HashMap;

use super::graph::{ArmColumn, Graph, OutputId, ReferenceId, Source};

/// Whether a reference has a column, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Has {
    No,
    Maybe,
    Sure,
}

impl Graph {
    /// Whether a reference has a column of this name.
    pub(super) fn has(&self, reference: ReferenceId, name: &str) -> Has {
        self.has_among(reference, name, &mut HashMap::new())
    }

    /// The same, where some references have been asked already: a query may be used many times.
    fn has_among(
        &self,
        reference: ReferenceId,
        name: &str,
        asked: &mut HashMap<ReferenceId, Has>,
    ) -> Has {
        if let Some(known) = asked.get(&reference) {
            return *known;
        }
        let has = self.has_newly(reference, name, asked);
        asked.insert(reference, has);
        has
    }

    fn has_newly(
        &self,
        reference: ReferenceId,
        name: &str,
        asked: &mut HashMap<ReferenceId, Has>,
    ) -> Has {
        let Some(reference) = self.references.get(reference) else {
            return Has::Maybe;
        };
        if let Some(columns) = &reference.columns {
            let has = columns.iter().any(|column| **column == *name);
            return if has || is_system_column(name) { Has::Sure } else { Has::No };
        }
        if reference.aliases.iter().any(|alias| **alias == *name) {
            return Has::Sure;
        }
        match &reference.source {
            Source::Guarded(guarded) if guarded.has(name) && reference.aliases.is_empty() => {
                Has::Sure
            }
            Source::Guarded(_) | Source::Unknown => Has::Maybe,
            Source::Output(output) | Source::Recursion(output) => {
                self.output_has(*output, &reference.aliases, name, asked)
            }
        }
    }

    fn output_has(
        &self,
        output: OutputId,
        aliases: &[Box<str>],
        name: &str,
        asked: &mut HashMap<ReferenceId, Has>,
    ) -> Has {
        let Some(found) = self.outputs.get(output) else {
            return Has::Maybe;
        };
        if self.position(output, aliases, name).is_some() {
            return Has::Sure;
        }
        let Some(arm) = found.arms.first() else {
            return Has::Maybe;
        };
        let mut best = Has::No;
        for column in &arm.columns {
            match column {
                ArmColumn::One { name: Some(own), term: _ } if **own == *name => {
                    best = best.max(Has::Maybe);
                }
                ArmColumn::One { name: None, term: _ } => best = best.max(Has::Maybe),
                ArmColumn::One { .. } => {}
                ArmColumn::Rest(reference) => {
                    best = best.max(self.has_among(*reference, name, asked));
                }
            }
        }
        if aliases.is_empty() && found.names.is_empty() { best } else { best.min(Has::Maybe) }
    }
}

/// Whether every table has a column of this name, which no derived table has.
pub(crate) fn is_system_column(name: &str) -> bool {
    SYSTEM_COLUMNS.contains(&name)
}

/// Columns that every table has (documentation, 5.6).
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];
