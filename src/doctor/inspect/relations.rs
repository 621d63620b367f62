use std::collections::{HashMap, HashSet};

use super::{Inspection, Said, name};
use crate::doctor::finding::Flaw;
use crate::doctor::schema::{Routine, View, ViewKind};
use crate::doctor::sql::{qualified, quote};
use crate::policy::fold;

/// The first version whose views can read with their caller's rights.
const SECURITY_INVOKER: u32 = 150_000;

impl Inspection<'_> {
    /// Relations whose rows are guarded, with a guarded table that each reaches: guarded tables,
    /// their partitions, and views over them at any depth.
    fn guarded(&self) -> HashMap<u32, String> {
        let tables = self.schema.tables.iter().filter(|table| self.guard(table).is_some());
        let mut guarded: HashMap<u32, String> =
            tables.map(|table| (table.oid, name(table))).collect();
        loop {
            let before = guarded.len();
            for view in &self.schema.views {
                let reached = view.uses.iter().find_map(|oid| guarded.get(oid).cloned());
                if let Some(reached) = reached {
                    guarded.entry(view.oid).or_insert(reached);
                }
            }
            if guarded.len() == before {
                return guarded;
            }
        }
    }

    /// Views that show guarded rows to who may not see them.
    pub(super) fn views(&mut self) {
        let guarded = self.guarded();
        let schema = self.schema;
        for view in &schema.views {
            let Some(reached) = guarded.get(&view.oid) else {
                continue;
            };
            match view.kind {
                ViewKind::View if view.security_invoker => {}
                ViewKind::View => self.definer_view(view, reached),
                ViewKind::Materialized if view.grantees.is_empty() => {}
                ViewKind::Materialized => self.matview(view, reached),
            }
        }
    }

    fn definer_view(&mut self, view: &View, reached: &str) {
        let full = qualified(&view.schema, &view.name);
        let (help, fix) = if self.schema.server_version >= SECURITY_INVOKER {
            let fix = format!("ALTER VIEW {full} SET (security_invoker = true);");
            ("let it read with its caller's rights", vec![fix])
        } else {
            ("PostgreSQL 15 and later have security_invoker; until then drop the view", Vec::new())
        };
        let said = Said {
            detail: format!(
                "it reads {reached} with its owner's rights: row-level security does not hold"
            ),
            help: help.to_owned(),
            fix,
        };
        self.find(Flaw::DefinerView, full, None, said);
    }

    fn matview(&mut self, view: &View, reached: &str) {
        let full = qualified(&view.schema, &view.name);
        let roles: Vec<_> = view.grantees.iter().map(|role| quote(role)).collect();
        let roles = roles.join(", ");
        let said = Said {
            detail: format!(
                "it keeps rows of {reached} for all organizations, and {roles} may read it: \
                 a materialized view has no row-level security"
            ),
            help: "read it through a guarded table or a function of its owner alone".to_owned(),
            fix: vec![format!("REVOKE ALL ON {full} FROM {roles};")],
        };
        self.find(Flaw::GuardedMatview, full, None, said);
    }

    /// Routines that read guarded tables.
    pub(super) fn routines(&mut self) {
        let guarded = self.guarded();
        let views = self.schema.views.iter().filter(|view| guarded.contains_key(&view.oid));
        let names: HashSet<String> = views.map(|view| view.name.to_lowercase()).collect();
        let schema = self.schema;
        for routine in &schema.routines {
            let by_name = words(&routine.body)
                .into_iter()
                .find(|word| names.contains(word) || self.convention.tables.guard(word).is_some());
            let by_oid = || routine.uses.iter().find_map(|oid| guarded.get(oid).cloned());
            if let Some(reached) = by_name.or_else(by_oid) {
                self.routine(routine, &reached);
            }
        }
    }

    fn routine(&mut self, routine: &Routine, reached: &str) {
        let called = qualified(&routine.schema, &routine.name);
        let full = format!("{called}({})", routine.arguments);
        if routine.security_definer {
            let said = Said {
                detail: format!(
                    "it names {reached} and runs with its owner's rights (SECURITY DEFINER): \
                     row-level security does not hold in it"
                ),
                help: "let it run with its caller's rights".to_owned(),
                fix: vec![format!("ALTER ROUTINE {full} SECURITY INVOKER;")],
            };
            self.find(Flaw::DefinerRoutine, full, None, said);
            return;
        }
        let own = [routine.name.to_lowercase(), format!("{}.{}", routine.schema, routine.name)];
        if self.convention.vouched.iter().any(|it| own.iter().any(|own| **own == **it)) {
            return;
        }
        let said = Said {
            detail: format!(
                "it names {reached}: the guard reads what SQL functions do, and refuses a call \
                 of one in {}",
                if routine.language == "sql" { "another language" } else { &routine.language }
            ),
            help: "when you have read it, list it in [routines] allow of the configuration"
                .to_owned(),
            fix: Vec::new(),
        };
        self.find(Flaw::ReadingRoutine, full, None, said);
    }
}

/// The names in a routine's body, folded: those in comments left out, those in strings not, for
/// statements are made of strings.
fn words(body: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find('\n').and_then(|end| comment.get(end..)).unwrap_or_default();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").and_then(|end| end.checked_add(2));
            rest = end.and_then(|end| comment.get(end..)).unwrap_or_default();
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
            let (word, after) =
                rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
            words.push(fold(word).into());
            rest = after;
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn comments_name_nothing_and_strings_do() {
        let body = "-- org_a\nSELECT /* org_b */ x FROM \"ORG_c\"; EXECUTE 'DELETE FROM org_d'";
        let found = words(body);
        assert!(found.contains(&"org_c".to_owned()) && found.contains(&"org_d".to_owned()));
        assert!(!found.iter().any(|word| word == "org_a" || word == "org_b"), "{found:?}");
        assert_eq!(words("/* open org_e"), Vec::<String>::new());
    }
}
