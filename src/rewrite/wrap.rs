//! Derived tables: where no condition outside a reference is exact, and where what stands outside
//! must not run before the condition.

use std::collections::HashSet;

use super::condition::{condition, join};
use super::edits::Editor;
use super::layout::{Layout, Use};
use super::splice::{Edit, Part};
use crate::analyze::{Gap, GapKind, is_system_column};
use crate::sql::PieceKind;

/// The rank of a derived table among the edits at one place.
pub(super) const WRAP: u8 = 0;

impl Editor<'_> {
    /// A derived table around a reference, with a condition in it.
    pub(super) fn wrap(&mut self, number: usize, found: &Use, gap: &Gap) -> Option<()> {
        if found.sampled || self.is_named_with_schema(found) {
            return None;
        }
        let name = self.text(found.name);
        if gap.exported || !found.columns {
            join(&mut self.wrapped, number, condition(&name, gap));
            return Some(());
        }
        // Inside it the columns have their own names, and by those that they have outside nothing
        // is proved of them: so what is proved there already goes inside too.
        if !self.wrapped.contains_key(&number) {
            let tenant = (GapKind::Tenant, Some(self.policy.tables.tenant_column.clone()));
            for (kind, column) in [tenant, (GapKind::Live, self.live_column(found))] {
                let Some(column) = column else { continue };
                let gap = Gap { kind, column, ..gap.clone() };
                join(&mut self.wrapped, number, condition(&name, &gap));
            }
        }
        Some(())
    }

    /// The same with OFFSET 0, so that nothing outside runs before the condition.
    pub(super) fn fence(&mut self, number: usize, found: &Use, gap: &Gap) -> Option<()> {
        if !self.policy.fences || found.target || self.lacking().table {
            return None;
        }
        self.fenced.insert(number);
        if let Some(word) = found.table_word {
            self.write_table_out(word);
        }
        self.wrap(number, found, gap)
    }

    /// Whether columns are qualified by the name with its schema, which no derived table has.
    fn is_named_with_schema(&self, found: &Use) -> bool {
        let name = self.layout.folded(found.name);
        found.alias.is_none() && name.is_some_and(|name| self.lacking().qualifiers.contains(&name))
    }

    fn lacking(&self) -> &Lacking {
        self.lacking.get_or_init(|| Lacking::of(self.layout, self.start, self.end))
    }
}

/// What of a statement only a table has.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// Whether there are system columns, or row locks, which behind a fence would be on every row
    /// that the fence lets through.
    table: bool,
    /// The names that stand between periods: tables with their schema before a column.
    qualifiers: HashSet<Box<str>>,
}

impl Lacking {
    fn of(layout: &Layout<'_>, start: usize, end: usize) -> Self {
        let tokens = layout.tokens;
        let mut lacking = Self::default();
        for at in start..end {
            let next = at.saturating_add(1);
            let locks = matches!(tokens.word(next), "update" | "share" | "no" | "key");
            let Some(name) = layout.folded(at) else { continue };
            lacking.table |= (locks && tokens.word(at) == "for") || is_system_column(&name);
            let before = at.checked_sub(1).is_some_and(|at| tokens.is(at, &PieceKind::Period));
            if before && tokens.is(next, &PieceKind::Period) {
                lacking.qualifiers.insert(name);
            }
        }
        lacking
    }
}

/// A relation becomes a derived table under its own name.
pub(super) fn wrap(
    layout: &Layout<'_>,
    found: &Use,
    condition: Vec<Part>,
    fenced: bool,
    edits: &mut Vec<Edit>,
) {
    let tokens = layout.tokens;
    let at = tokens.span(found.first).start;
    edits.push(Edit::insert(at, WRAP, vec![Part::Text("(SELECT * FROM ".to_owned())]));
    let mut parts = vec![Part::Text(" WHERE ".to_owned())];
    parts.extend(condition);
    if fenced {
        parts.push(Part::Text(" OFFSET 0".to_owned()));
    }
    let name = match tokens.kind(found.name) {
        Some(PieceKind::Word(word)) => word.to_string(),
        Some(PieceKind::Quoted(name)) => format!("\"{}\"", name.replace('"', "\"\"")),
        Some(_) | None => String::new(),
    };
    let closing = if found.alias.is_some() { ")".to_owned() } else { format!(") AS {name}") };
    parts.push(Part::Text(closing));
    edits.push(Edit::insert(tokens.span(found.last).end, WRAP, parts));
}
