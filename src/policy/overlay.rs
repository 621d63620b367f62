use std::collections::BTreeSet;

/// Names that one session keeps beside the catalogue; with more of them it knows no name for sure.
const NAMES: usize = 10_000;

/// What one session has made or changed that the catalogue does not show: temporary relations, and
/// what its open transaction has not committed.
///
/// It may hold a name whose relation is gone, or never came to be, so a name that the catalogue
/// knows as well is never taken for the session's own: it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Most sessions know nothing beside the catalogue, and have no room for it.
    known: Option<Box<Known>>,
    /// Goes up with every change.
    changes: u64,
}

/// What there is in an overlay that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    temporary: BTreeSet<Box<str>>,
    /// Temporary views, whose definitions are not kept.
    views: BTreeSet<Box<str>>,
    created: BTreeSet<Box<str>>,
    changed: BTreeSet<Box<str>>,
    /// There were more names than are kept.
    is_full: bool,
}

/// What a statement does to the names of relations, if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A table is made, and whether it is temporary.
    Table {
        /// Its name.
        name: Box<str>,
        /// Whether it is the session's own.
        temporary: bool,
    },
    /// A view is made, and whether it is temporary.
    View {
        /// Its name.
        name: Box<str>,
        /// Whether it is the session's own.
        temporary: bool,
    },
    /// Any of these names may be changed or dropped.
    Other(Vec<Box<str>>),
    /// Every temporary relation is dropped.
    DiscardTemporary,
}

/// What a session knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlaid {
    /// Nothing.
    No,
    /// A table that it has made.
    Made,
    /// A view that it has made, or too much to tell.
    Opaque,
    /// Something that its open transaction has changed.
    Changed,
}

impl Overlay {
    /// Whether the session knows nothing beside the catalogue.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.known.is_none()
    }

    /// Another number for another overlay of the same session; 0 for an empty one.
    #[must_use]
    pub const fn version(&self) -> u64 {
        if self.is_empty() { 0 } else { self.changes }
    }

    /// What is known of a (folded) name in a schema, or without one.
    #[must_use]
    pub fn find(&self, schema: Option<&str>, name: &str) -> Overlaid {
        let Some(known) = &self.known else {
            return Overlaid::No;
        };
        let own = schema.is_none_or(|schema| schema == "pg_temp" || schema.starts_with("pg_temp_"));
        let permanent = schema.is_none() || !own;
        if known.is_full || (own && known.views.contains(name)) {
            Overlaid::Opaque
        } else if (own && known.temporary.contains(name))
            || (permanent && known.created.contains(name))
        {
            Overlaid::Made
        } else if permanent && known.changed.contains(name) {
            Overlaid::Changed
        } else {
            Overlaid::No
        }
    }

    /// Takes in what a statement does that was sent.
    pub fn apply(&mut self, change: &SchemaChange) {
        self.changes = self.changes.saturating_add(1);
        self.known.get_or_insert_default().apply(change);
        self.tidy();
    }

    /// The transaction has ended: what it made is in the catalogue, or nowhere.
    pub fn end_transaction(&mut self) {
        let Some(known) = &mut self.known else {
            return;
        };
        if !known.created.is_empty() || !known.changed.is_empty() {
            self.changes = self.changes.saturating_add(1);
            known.created.clear();
            known.changed.clear();
        }
        self.tidy();
    }

    /// Gives back the room of what is empty.
    fn tidy(&mut self) {
        if self.known.as_ref().is_some_and(|known| known.is_empty()) {
            self.known = None;
        }
    }
}

impl Known {
    fn is_empty(&self) -> bool {
        self.temporary.is_empty()
            && self.views.is_empty()
            && self.created.is_empty()
            && self.changed.is_empty()
            && !self.is_full
    }

    fn apply(&mut self, change: &SchemaChange) {
        match change {
            SchemaChange::Table { name, temporary } => {
                let names = if *temporary { &mut self.temporary } else { &mut self.created };
                names.insert(name.clone());
            }
            SchemaChange::View { name, temporary: true } => {
                self.views.insert(name.clone());
            }
            SchemaChange::View { name, temporary: false } => {
                self.changed.insert(name.clone());
            }
            SchemaChange::Other(names) => {
                for name in names {
                    // What may be dropped or changed is forgotten, and so not known any more.
                    self.temporary.remove(name);
                    self.created.remove(name);
                    self.changed.insert(name.clone());
                }
            }
            SchemaChange::DiscardTemporary => {
                self.temporary.clear();
                self.views.clear();
            }
        }
        let kept = [&self.temporary, &self.views, &self.created, &self.changed];
        if kept.iter().map(|names| names.len()).sum::<usize>() > NAMES {
            *self = Self { is_full: true, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, temporary: bool) -> SchemaChange {
        SchemaChange::Table { name: name.into(), temporary }
    }

    #[test]
    fn temporary_tables_stay_and_others_go_with_the_transaction() {
        let mut overlay = Overlay::default();
        assert_eq!(overlay.version(), 0);
        overlay.apply(&table("t", true));
        overlay.apply(&table("p", false));
        overlay.apply(&SchemaChange::View { name: "v".into(), temporary: true });
        assert_eq!(overlay.find(None, "t"), Overlaid::Made);
        assert_eq!(overlay.find(Some("pg_temp"), "t"), Overlaid::Made);
        assert_eq!(overlay.find(Some("public"), "t"), Overlaid::No);
        assert_eq!(overlay.find(Some("public"), "p"), Overlaid::Made);
        assert_eq!(overlay.find(Some("pg_temp"), "p"), Overlaid::No);
        assert_eq!(overlay.find(None, "v"), Overlaid::Opaque);
        let before = overlay.version();
        overlay.end_transaction();
        assert_ne!(overlay.version(), before);
        assert_eq!(overlay.find(None, "p"), Overlaid::No);
        assert_eq!(overlay.find(None, "t"), Overlaid::Made);
        overlay.apply(&SchemaChange::Other(vec!["t".into()]));
        assert_eq!(overlay.find(None, "t"), Overlaid::Changed);
        overlay.apply(&SchemaChange::DiscardTemporary);
        overlay.end_transaction();
        assert!(overlay.is_empty() && overlay.version() == 0);
    }

    #[test]
    fn too_many_names_are_no_names() {
        let mut overlay = Overlay::default();
        for number in 0..=NAMES {
            overlay.apply(&table(&format!("t{number}"), true));
        }
        assert_eq!(overlay.find(None, "plain"), Overlaid::Opaque);
    }
}
