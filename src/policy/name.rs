/// The longest identifier PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`; documentation, 4.1.1).
pub const NAME_BYTES: usize = 63;

/// Cuts an identifier as the server does: to 63 bytes, never inside a UTF-8 character.
#[must_use]
pub fn cut_name(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or(name)
}

/// Folds an unquoted identifier as the server does in UTF-8: ASCII letters to lower case, then cut.
///
/// `downcase_identifier` leaves bytes above 127 alone in multi-byte encodings.
#[must_use]
pub fn fold(name: &str) -> Box<str> {
    cut_name(&name.to_ascii_lowercase()).into()
}

/// A name, or a prefix of names when written with a final `*`. `_` is itself, not a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly this name.
    Exact(Box<str>),
    /// Every name that starts so.
    Prefix(Box<str>),
}

impl Pattern {
    /// Reads a pattern; `None` if it is empty or has `*` anywhere but at its end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        match lower.strip_suffix('*') {
            Some(prefix) if !prefix.is_empty() && !prefix.contains('*') => {
                Some(Self::Prefix(prefix.into()))
            }
            Some(_) => None,
            None if lower.is_empty() || lower.contains('*') => None,
            None => Some(Self::Exact(lower.into())),
        }
    }

    /// Whether a relation's name falls under the pattern. Case is ignored on both sides: a quoted
    /// `"ORG_weird"` is another table than `org_weird`, and guarded all the same.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        match self {
            Self::Exact(exact) => *lower == **exact,
            Self::Prefix(prefix) => lower.starts_with(&**prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_is_no_wildcard() {
        let pattern = Pattern::parse("org_*").unwrap();
        assert!(pattern.covers("org_products"));
        assert!(pattern.covers("ORG_weird"));
        assert!(pattern.covers("org_"));
        assert!(!pattern.covers("organizations"));
        assert!(!pattern.covers("orgunits"));
        assert!(!pattern.covers("my_org_products"));
    }

    #[test]
    fn a_star_stands_only_at_the_end() {
        for refused in ["", "*", "a*b", "*a", "a**"] {
            assert_eq!(Pattern::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn names_are_cut_at_63_bytes_between_characters() {
        assert_eq!(cut_name(&"a".repeat(70)).len(), 63);
        let accents = "é".repeat(40);
        assert_eq!(cut_name(&accents).len(), 62);
        assert_eq!(&*fold("ORG_Products"), "org_products");
        assert_eq!(&*fold("ÄB"), "Äb");
    }
}
