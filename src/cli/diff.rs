//! What is put into a statement, line by line.

use std::fmt::Write as _;

/// The lines that changed, each before and after; nothing that is put in has a line break, so the
/// lines are the same in number.
pub(super) fn diff(old: &str, new: &str) -> String {
    let mut drawn = String::new();
    for (old, new) in old.lines().zip(new.lines()) {
        if old != new {
            // Writing to a string does not fail.
            let _ = writeln!(drawn, "  - {old}");
            let _ = writeln!(drawn, "  + {new}");
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_what_changed_is_shown() {
        let drawn = diff("SELECT 1\nFROM t\nLIMIT 1", "SELECT 1\nFROM t WHERE b\nLIMIT 1");
        assert_eq!(drawn, "  - FROM t\n  + FROM t WHERE b\n");
    }
}
