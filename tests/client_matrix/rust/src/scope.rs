//! The places at which a step names the organization or `deleted_at`, and what is forgotten there.

/// What can be forgotten at a place.
pub(crate) type Kind = &'static str;

#[derive(Default)]
pub(crate) struct Scope {
    places: Vec<Vec<Kind>>,
    forgotten: Option<(usize, Kind)>,
}

impl Scope {
    /// Begins a step.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }

    /// The places that the last step has come upon.
    pub(crate) fn places(&self) -> Vec<Vec<Kind>> {
        self.places.clone()
    }

    pub(crate) fn forget(&mut self, what: Option<(usize, Kind)>) {
        self.forgotten = what;
    }

    /// Comes upon a place; what is forgotten there.
    pub(crate) fn place(&mut self, kinds: &[Kind]) -> Option<Kind> {
        let place = self.places.len();
        self.places.push(kinds.to_vec());
        self.forgotten.filter(|(at, _)| *at == place).map(|(_, kind)| kind)
    }

    /// The text with its filters written out, but for the one that is forgotten.
    pub(crate) fn filters(&mut self, text: &str) -> String {
        let mut written = String::new();
        let mut rest = text;
        while let Some((before, mark)) = rest.split_once('{') {
            let (mark, after) = mark.split_once('}').unwrap();
            let (table, part) = mark.split_once('.').unwrap_or((mark, ""));
            let kinds: &[Kind] = match part {
                "live" => &["deleted_at"],
                "organization" => &["organization"],
                _ => &["organization", "deleted_at"],
            };
            let lost = self.place(kinds);
            let predicates: Vec<String> = kinds
                .iter()
                .filter(|kind| lost != Some(**kind))
                .map(|kind| match *kind {
                    "organization" => format!("{table}.organization_id = $1"),
                    _ => format!("{table}.deleted_at IS NULL"),
                })
                .collect();
            written.push_str(before);
            written.push_str(&if predicates.is_empty() {
                "true".to_owned()
            } else {
                predicates.join(" AND ")
            });
            rest = after;
        }
        written + rest
    }
}
