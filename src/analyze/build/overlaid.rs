//! Relations that the session has made or changed itself.

use super::super::graph::Source as GraphSource;
use super::Builder;
use super::relation::Meaning;
use crate::policy::{Catalog, Found, Overlaid, RelationKind};
use crate::sql::model::Name;

impl Builder<'_> {
    /// What a name means by what the session has done beside the catalogue; `None` if the catalogue
    /// decides.
    ///
    /// Rows of a table that the session has made are its own. But the overlay may hold a name in
    /// vain, so a name that the catalogue has as well is refused: it could mean either.
    pub(super) fn overlaid(
        &mut self,
        catalog: &Catalog,
        qualifier: &[Name],
        name: &Name,
    ) -> Option<Meaning> {
        // What stands in a view's definition is qualified, and was there before.
        if self.policy.overlay.is_empty() {
            return None;
        }
        let schema = qualifier.last().map(|schema| &*schema.text);
        let found = || catalog.find(schema, &name.text, &self.policy.settings.search_path);
        let own = Meaning { source: GraphSource::Unknown, columns: None };
        let detail = match (self.policy.overlay.find(schema, &name.text), found()) {
            (Overlaid::No, _) | (Overlaid::Changed, Found::None) => return None,
            (Overlaid::Made, Found::None) => return Some(own),
            (Overlaid::Made, Found::One(_) | Found::Several) => {
                "a relation that the session has made beside another of this name"
            }
            (Overlaid::Opaque, _) => "a temporary view of the session's own",
            (Overlaid::Changed, Found::One(full)) => {
                let is_plain = !catalog.is_guarded(&full)
                    && self.policy.tables.guard(&full.name).is_none()
                    && catalog.relation(&full).is_some_and(|it| it.kind == RelationKind::Table);
                if is_plain {
                    return Some(own);
                }
                "a relation that this transaction has changed"
            }
            (Overlaid::Changed, Found::Several) => "a relation that this transaction has changed",
        };
        self.hidden(name, detail);
        Some(own)
    }
}
