//! Edits of a text, and the text that they make of it.

use crate::sql::Span;
use crate::tenant::{Tenant, TenantType};

/// What a piece of an edit writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This text.
    Text(String),
    /// The tenant, as an operand of the tenant column's type.
    Tenant,
}

/// The text from `start` to `end` (in bytes) gives way to the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) start: u32,
    pub(super) end: u32,
    /// The order of edits at one place: from the inside of the statement to the outside.
    pub(super) rank: u8,
    pub(super) parts: Vec<Part>,
}

impl Edit {
    pub(super) fn insert(at: u32, rank: u8, parts: Vec<Part>) -> Self {
        Self { start: at, end: at, rank, parts }
    }
}

/// How the tenant is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand<'a> {
    /// As a constant.
    Literal(&'a Tenant),
    /// As `$n`.
    Parameter(u16),
}

/// A constant that PostgreSQL reads as this tenant, without a type. Strings are read with
/// `standard_conforming_strings = on`, which the session pins.
#[must_use]
pub fn literal(tenant: &Tenant) -> String {
    format!("'{}'", tenant_text(tenant).replace('\'', "''"))
}

/// The tenant as the text form of a value.
#[must_use]
pub fn tenant_text(tenant: &Tenant) -> String {
    match tenant {
        Tenant::Bigint(number) => number.to_string(),
        Tenant::Text(text) => text.to_string(),
        Tenant::Uuid(uuid) => uuid.to_string(),
    }
}

/// The operand with the type of the tenant column, by its name in `pg_catalog`.
pub(super) fn operand(operand: Operand<'_>, tenant_type: TenantType) -> String {
    let type_name = match tenant_type {
        TenantType::Bigint => "int8",
        TenantType::Text => "text",
        TenantType::Uuid => "uuid",
    };
    match operand {
        Operand::Literal(tenant) => format!("{}::pg_catalog.{type_name}", literal(tenant)),
        Operand::Parameter(number) => format!("${number}::pg_catalog.{type_name}"),
    }
}

/// A text with edits made, and where the parts of the original are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The text.
    pub text: String,
    /// How its places are found in the original.
    pub map: PlaceMap,
}

/// Finds places of a spliced text in the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceMap {
    /// Where an unchanged part starts in the new text and in the original, in bytes, and where
    /// it ends in the new text.
    parts: Vec<(usize, usize, usize)>,
}

impl PlaceMap {
    /// The position in the original (1-based, in characters) of one in the new text; of what was
    /// put in, the place where it was.
    #[must_use]
    pub fn original(&self, position: usize, new: &str, original: &str) -> usize {
        let wanted = position.saturating_sub(1);
        let byte = new.char_indices().nth(wanted).map_or(new.len(), |(byte, _)| byte);
        let place = self.byte(byte);
        let before = original.char_indices().take_while(|(at, _)| *at < place).count();
        before.saturating_add(1)
    }
}

impl PlaceMap {
    /// The span in the original of one in the new text.
    #[must_use]
    pub fn original_span(&self, span: Span) -> Span {
        let place = |at: u32| {
            let byte = usize::try_from(at).unwrap_or(usize::MAX);
            u32::try_from(self.byte(byte)).unwrap_or(u32::MAX)
        };
        Span { start: place(span.start), end: place(span.end) }
    }

    fn byte(&self, byte: usize) -> usize {
        let mut place = 0_usize;
        for (start, own, end) in &self.parts {
            if byte < *start {
                break;
            }
            place = own.saturating_add(byte.min(*end).saturating_sub(*start));
        }
        place
    }
}

/// Makes the edits, each with the operand of its statement; they must not overlap.
pub(super) fn splice<'a>(
    text: &str,
    edits: impl Iterator<Item = (&'a Edit, Operand<'a>)>,
    tenant_type: TenantType,
) -> Option<Spliced> {
    let mut edits: Vec<(&Edit, Operand<'_>)> = edits.collect();
    edits.sort_by_key(|(edit, _)| (edit.start, edit.rank));
    let mut new = String::with_capacity(text.len().saturating_mul(2));
    let mut map = PlaceMap::default();
    let mut at = 0_usize;
    for (edit, tenant) in edits {
        let start = usize::try_from(edit.start).ok()?;
        keep(&mut new, &mut map, text, at, start)?;
        for part in &edit.parts {
            match part {
                Part::Text(text) => new.push_str(text),
                Part::Tenant => new.push_str(&operand(tenant, tenant_type)),
            }
        }
        at = usize::try_from(edit.end).ok()?;
    }
    keep(&mut new, &mut map, text, at, text.len())?;
    Some(Spliced { text: new, map })
}

fn keep(new: &mut String, map: &mut PlaceMap, text: &str, from: usize, to: usize) -> Option<()> {
    let part = text.get(from..to)?;
    let start = new.len();
    new.push_str(part);
    map.parts.push((start, from, new.len()));
    Some(())
}
