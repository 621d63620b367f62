//! What a write sets off beside itself: rules, triggers, and what foreign keys do.

use super::super::reader::Reader;
use super::super::verdict::{Rule, Violation};
use super::Builder;
use crate::policy::{Catalog, CatalogRelation, Policy, RelationKind, RelationName, Write};
use crate::sql::model::{Name, Target};
use crate::sql::{TriggerBody, read_trigger};

/// What a utility statement does to a table that it names by a token.
#[derive(Debug, Default)]
pub(in super::super) struct Touched {
    pub(in super::super) violations: Vec<Violation>,
    /// The catalogue does not know it.
    pub(in super::super) unknown: bool,
}

/// What COPY FROM (`Some(Write::Insert)`), COPY TO (`None`) or TRUNCATE of a table means; the name
/// rule has been applied.
pub(in super::super) fn touched(
    policy: &Policy,
    reader: Reader,
    qualifier: &[Name],
    name: &Name,
    write: Option<Write>,
) -> Touched {
    let mut builder = Builder::new(policy, reader, 0);
    let Some(catalog) = policy.catalog.as_ref() else {
        return Touched::default();
    };
    if builder.overlaid(catalog, qualifier, name).is_some() {
        return Touched { unknown: false, violations: builder.violations };
    }
    match builder.look_up(catalog, qualifier, name) {
        None => {
            builder.unknown(name);
        }
        Some((_, relation)) if relation.kind != RelationKind::Table => {
            builder.hidden(name, "a relation that is no table, and may hold or give guarded rows");
        }
        Some(_) => {
            if let Some(write) = write {
                builder.set_off_by(qualifier, name, write, None);
            }
        }
    }
    Touched { unknown: builder.unknown_relation, violations: builder.violations }
}

impl Builder<'_> {
    /// Refuses a write that sets off what is not known to stay inside one tenant. `set` are the
    /// columns that an UPDATE sets; `None` if any may be.
    pub(super) fn set_off(&mut self, target: &Target, write: Write, set: Option<&[Box<str>]>) {
        self.set_off_by(&target.qualifier, &target.name, write, set);
    }

    fn set_off_by(
        &mut self,
        qualifier: &[Name],
        name: &Name,
        write: Write,
        set: Option<&[Box<str>]>,
    ) {
        let Some(catalog) = self.policy.catalog.clone() else {
            return;
        };
        // What is not known has been refused for that.
        let Some((full, relation)) = self.look_up(&catalog, qualifier, name) else {
            return;
        };
        self.ruled(&catalog, &full, relation, name, write);
        let mut written = vec![full];
        if relation.kind == RelationKind::View {
            // A write to a view is one to the table that it shows.
            written.extend(self.shown_tables(&catalog, relation));
        }
        for full in written {
            self.reached(&catalog, &full, name, write, set);
        }
    }

    /// A rule puts other statements in the place of the one that was judged.
    fn ruled(
        &mut self,
        _catalog: &Catalog,
        full: &RelationName,
        relation: &CatalogRelation,
        name: &Name,
        write: Write,
    ) {
        let vouched = |rule: &str| {
            let key = format!("{}.{rule}", full.name).to_lowercase();
            self.policy.routines.rules.contains(key.as_str())
        };
        let found = relation.rules.iter().find(|rule| rule.write == write && !vouched(&rule.name));
        if let Some(rule) = found {
            let detail = format!("the rewrite rule \"{}\" runs other statements", rule.name);
            let hint = format!(
                "drop the rule, or name \"{}.{}\" under [routines] rules if it stays inside one tenant",
                full.name, rule.name
            );
            self.violate(Rule::HiddenRelation, Some(&name.text), name.span, detail, &hint);
        }
    }

    /// The tables that a view's definition names.
    fn shown_tables(&self, catalog: &Catalog, relation: &CatalogRelation) -> Vec<RelationName> {
        let Some((builder, _)) = self.scratch(relation) else {
            return Vec::new();
        };
        let references = builder.graph.references.iter();
        let names = references.filter_map(|reference| {
            let schema = reference.schema.clone()?;
            Some(RelationName { schema, name: reference.table.clone() })
        });
        names.filter(|name| catalog.relation(name).is_some()).collect()
    }

    /// Triggers are routine calls; a foreign key changes rows of whatever tenant.
    fn reached(
        &mut self,
        catalog: &Catalog,
        full: &RelationName,
        name: &Name,
        write: Write,
        set: Option<&[Box<str>]>,
    ) {
        let is_guarded = |own: &RelationName| {
            self.policy.tables.guard(&own.name).is_some() || catalog.is_guarded(own)
        };
        let may_cascade = is_guarded(full)
            || self.policy.tables.cascades.iter().any(|own| own.eq_ignore_ascii_case(&full.name));
        let reach = catalog.reach(full, write, set);
        let cascaded = reach.iter().find(|(own, _)| !may_cascade && is_guarded(own)).cloned();
        if let Some((guarded, _)) = cascaded {
            self.violate(
                Rule::HiddenRelation,
                Some(&name.text),
                name.span,
                format!("its foreign key changes rows of \"{}\" of every tenant", guarded.name),
                "run it on a direct connection, or name the table under [guard] cascades",
            );
        }
        let mut refused: Vec<RelationName> = Vec::new();
        let mut is_vouched = false;
        for (own, write) in &reach {
            let triggers = catalog.relation(own).map(|relation| relation.triggers.as_slice());
            for trigger in triggers.unwrap_or_default() {
                if !trigger.writes.contains(write) || refused.contains(&trigger.routine) {
                    continue;
                }
                if self.is_vouched_trigger(catalog, &trigger.routine) {
                    is_vouched = true;
                } else if !self.is_harmless_trigger(catalog, &trigger.routine) {
                    refused.push(trigger.routine.clone());
                }
            }
        }
        if is_vouched {
            self.vouched.get_or_insert(name.span);
        }
        for RelationName { schema, name: routine } in refused {
            self.violate(
                Rule::OpaqueSql,
                Some(&routine),
                name.span,
                format!("a trigger calls \"{schema}.{routine}\", which is not known to be harmless"),
                &format!(
                    "name \"{schema}.{routine}\" under [routines] allow if it stays inside one tenant"
                ),
            );
        }
    }

    /// Whether the configuration vouches for a trigger's routine, by its full name, or by a bare
    /// one that an unqualified call could mean.
    fn is_vouched_trigger(&self, catalog: &Catalog, routine: &RelationName) -> bool {
        let RelationName { schema, name } = routine;
        let routines = &self.policy.routines;
        let on_path = catalog.is_on_path(schema, &self.policy.settings.search_path);
        routines.is_allowed(Some(schema), name) || (on_path && routines.is_allowed(None, name))
    }

    fn is_harmless_trigger(&self, catalog: &Catalog, routine: &RelationName) -> bool {
        let RelationName { schema, name } = routine;
        if &**schema == "pg_catalog" {
            return HARMLESS_TRIGGERS.contains(&&**name);
        }
        let mut found =
            catalog.routines(name).iter().filter(|own| own.schema == *schema).peekable();
        found.peek().is_some()
            && found.all(|own| {
                self.keeps_settings(own)
                    && match (&*own.language, own.extension.as_deref(), &own.body) {
                        // contrib/spi: sets a column of a time type to now().
                        ("c", Some("moddatetime"), _) => true,
                        ("plpgsql", None, Some(body)) => self.is_clear_trigger(body),
                        (_, _, _) => false,
                    }
            })
    }

    /// Whether the body of a trigger's routine only sets columns of the row at hand, other than
    /// those that bind it, and runs nothing that has to do with a guarded table.
    fn is_clear_trigger(&self, body: &str) -> bool {
        let Ok(TriggerBody { assigned, texts }) = read_trigger(body, &self.policy.limits) else {
            return false;
        };
        let tables = &self.policy.tables;
        let binds = |column: &str| {
            tables.tenant_column.eq_ignore_ascii_case(column)
                || tables
                    .overrides
                    .iter()
                    .any(|table| table.bound_by.iter().any(|own| own.eq_ignore_ascii_case(column)))
        };
        !assigned.iter().any(|column| binds(column))
            && texts.iter().all(|text| self.is_clear_body(text))
    }
}

/// Triggers of PostgreSQL's own that compute from the row at hand (documentation, 9.28, 12.4.3).
const HARMLESS_TRIGGERS: [&str; 3] = [
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger",
    "tsvector_update_trigger_column",
];
