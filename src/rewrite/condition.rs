//! The conditions that fill gaps.

use super::splice::Part;
use crate::analyze::{Gap, GapKind, quoted};

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
pub(super) fn join(places: &mut Vec<(usize, Vec<Part>)>, place: usize, condition: Vec<Part>) {
    match places.iter_mut().find(|(own, _)| *own == place) {
        Some((_, parts)) => {
            parts.push(Part::Text(" AND ".to_owned()));
            parts.extend(condition);
        }
        None => places.push((place, condition)),
    }
}
