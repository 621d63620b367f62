//! Tables that utility statements name by a token.

use super::build::{self, Touched};
use super::reader::Reader;
use super::statement::Outline;
use crate::policy::{Found, Policy, Write};
use crate::sql::model::Name;
use crate::sql::{Statement, Utility};

/// COPY and TRUNCATE of a table, by the catalogue.
pub(super) fn touched(
    outline: &mut Outline<'_>,
    utility: Utility,
    statement: &Statement,
    policy: &Policy,
    reader: Reader,
) {
    let first = statement.unaccounted.first().map(|name| &*name.text);
    let is_word = |name: &&Name, words: &[&str]| words.contains(&&*name.text);
    let names = statement.unaccounted.iter().skip(1);
    let (names, write): (Vec<&Name>, _) = match (utility, first) {
        (Utility::CopyTable, _) => {
            let into = names.clone().any(|name| &*name.text == "stdin");
            // The table's name, or its schema's and its own.
            (names.take(2).collect(), into.then_some(Write::Insert))
        }
        (Utility::Plain, Some("truncate")) => {
            const WORDS: [&str; 6] =
                ["table", "only", "restart", "continue", "identity", "restrict"];
            (names.filter(|name| !is_word(name, &WORDS)).collect(), Some(Write::Truncate))
        }
        _ => return,
    };
    let Some(catalog) = &policy.catalog else {
        return;
    };
    let mut names = names.into_iter().peekable();
    while let Some(name) = names.next() {
        let bare = catalog.find(None, &name.text, &policy.settings.search_path);
        let (qualifier, name) = match names.peek() {
            Some(own)
                if bare == Found::None
                    && matches!(catalog.find(Some(&name.text), &own.text, &[]), Found::One(_)) =>
            {
                let schema = name.clone();
                let own = (*own).clone();
                names.next();
                (vec![schema], own)
            }
            _ => (Vec::new(), name.clone()),
        };
        let Touched { violations, unknown } =
            build::touched(policy, reader, &qualifier, &name, write);
        outline.violations.extend(violations);
        outline.unknown_relation = outline.unknown_relation || unknown;
        if utility == Utility::CopyTable {
            return;
        }
    }
}
