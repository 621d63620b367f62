//! The conditions that fill gaps.

use std::collections::BTreeMap;

use super::splice::Part;
use crate::analyze::{Gap, GapKind, quoted};

/// Conditions by the number of their place.
pub(super) type Conditions = BTreeMap<usize, Vec<Part>>;

/// The condition that fills a gap, on the relation of this alias.
pub(super) fn condition(alias: &str, gap: &Gap) -> Vec<Part> {
    let column = format!("{alias}.{}", quoted(&gap.column));
    match gap.kind {
        GapKind::Live | GapKind::AdvisedLive | GapKind::ConflictLive => {
            vec![Part::Text(format!("{column} IS NULL"))]
        }
        GapKind::Tenant
        | GapKind::ConflictTenant
        | GapKind::Written
        | GapKind::Copied
        | GapKind::Removed => {
            vec![Part::Text(format!("{column} = ")), Part::Tenant]
        }
    }
}

/// Joins a condition to those of a place.
pub(super) fn join(places: &mut Conditions, place: usize, condition: Vec<Part>) {
    let parts = places.entry(place).or_default();
    if !parts.is_empty() {
        parts.push(Part::Text(" AND ".to_owned()));
    }
    parts.extend(condition);
}
