//! Routines: which may be called, and where.

use std::sync::Arc;

use super::super::graph::{Operand, ReferenceId, Source as GraphSource};
use super::super::has::Has;
use super::super::verdict::Rule;
use super::{Builder, Clause, Scope};
use crate::policy::{Catalog, CatalogRoutine, Routine, SettingClass, computing_extension};
use crate::sql::Span;
use crate::sql::model::{Block, Body, Call, Constant, Expr, Grouping, Item, Name, Query, TypeName};

/// The one call that a SELECT makes, once, and nothing else: no FROM, no WHERE, nothing that could
/// keep it from being made.
pub(in super::super) fn sole_call(query: &Query) -> Option<&Call> {
    let Query { with, recursive: _, body, order_by, limits: _, limited } = query;
    let Body::Block(block) = body else {
        return None;
    };
    let Block { distinct_on, items, from, filter, grouping, having, windows } = &**block;
    let [Item::Expr { expr: Expr::Call(call), label: _ }] = items.as_slice() else {
        return None;
    };
    let alone = with.is_empty()
        && order_by.is_empty()
        && !limited
        && distinct_on.is_none()
        && from.is_empty()
        && filter.is_none()
        && matches!(grouping, Grouping::None)
        && having.is_none()
        && windows.is_empty()
        && call.filter.is_none()
        && call.over.is_none();
    alone.then_some(call)
}

impl Builder<'_> {
    pub(super) fn call(&mut self, call: &Call, scope: &Scope<'_>, clause: Clause) {
        let name = &*call.name.text;
        let span = call.name.span;
        let schema = call.qualifier.last().map(|schema| &*schema.text);
        if self.policy.is_tenant_setter(schema, name) {
            if self.sole_item != Some(span) || call.arguments.len() != 1 {
                self.escape(span, "the tenant is set inside a statement that does something else");
            }
            return;
        }
        if self.policy.routines.is_allowed(schema, name) {
            self.vouched.get_or_insert(span);
        }
        match self.routine(schema, name) {
            Routine::Harmless | Routine::ReadsSetting => {}
            Routine::Volatile => {
                if clause == Clause::Filter && self.sees_guarded_columns(call, scope) {
                    self.violate(
                        Rule::OpaqueSql,
                        Some(name),
                        span,
                        "a volatile routine in a filter can see rows before the tenant predicate does".to_owned(),
                        "call it in the select list of a query that is bound to one tenant",
                    );
                }
            }
            Routine::SetsSetting => self.set_config(call, span),
            Routine::Unknown => self.violate(
                Rule::OpaqueSql,
                Some(name),
                span,
                "a routine that is not known to be harmless".to_owned(),
                "name it under [routines] allow if it reads no guarded table",
            ),
        }
    }

    /// What is known of a routine, by the policy and by the catalogue: every overload that a call
    /// may mean has to be harmless.
    fn routine(&self, schema: Option<&str>, name: &str) -> Routine {
        let class = self.policy.routines.class(schema, name);
        let Some(catalog) = self.policy.catalog.as_ref().filter(|_| schema != Some("pg_catalog"))
        else {
            return class;
        };
        if self.policy.routines.is_allowed(schema, name) {
            return class;
        }
        let meant = |routine: &&CatalogRoutine| match schema {
            Some(schema) => *routine.schema == *schema,
            None => catalog.is_on_path(&routine.schema, &self.policy.settings.search_path),
        };
        let mut found = false;
        let mut volatile = class == Routine::Volatile;
        for routine in catalog.routines(name).iter().filter(meant) {
            if !self.is_harmless(routine) {
                return Routine::Unknown;
            }
            found = true;
            volatile = volatile || routine.is_volatile;
        }
        match (class, found, volatile) {
            (Routine::ReadsSetting | Routine::SetsSetting, false, _) => class,
            (Routine::ReadsSetting | Routine::SetsSetting, true, _) => Routine::Unknown,
            (Routine::Unknown, false, _) => Routine::Unknown,
            (_, _, true) => Routine::Volatile,
            (_, _, false) => Routine::Harmless,
        }
    }

    /// Whether a routine of the database's own surely reads no guarded row: one of a well-known
    /// extension that only computes, or one in SQL whose body has nothing to do with one.
    fn is_harmless(&self, routine: &CatalogRoutine) -> bool {
        if !self.keeps_settings(routine) {
            return false;
        }
        match (&*routine.language, &routine.extension, &routine.body) {
            ("c" | "internal", Some(extension), _) => computing_extension(extension),
            ("sql", None, Some(body)) => self.is_clear_body(body),
            (_, _, _) => false,
        }
    }

    /// Whether no setting that the guard relies on has another value while a routine runs.
    pub(super) fn keeps_settings(&self, routine: &CatalogRoutine) -> bool {
        routine.settings.iter().all(|name| {
            let is_tenant = self
                .policy
                .tenant_setting
                .as_deref()
                .is_some_and(|setting| setting.eq_ignore_ascii_case(name));
            !is_tenant && self.policy.settings.is_harmless(name)
        })
    }

    /// `set_config` anywhere: the setting must be named by a constant and be harmless. The
    /// tenant's own setting only as the whole of a statement, so that it changes between
    /// statements and never inside one.
    fn set_config(&mut self, call: &Call, span: Span) {
        let (name, value) = match call.arguments.as_slice() {
            [Expr::Constant(Constant::Text(name)), value, _] => {
                (name.read().to_ascii_lowercase(), value)
            }
            _ => {
                self.escape(span, "a setting whose name is computed");
                return;
            }
        };
        let is_tenant = self.policy.tenant_setting.as_deref() == Some(name.as_str());
        if is_tenant {
            if self.sole_item != Some(span) {
                self.escape(span, "the tenant is set inside a statement that does something else");
            }
            return;
        }
        let class = match value {
            Expr::Constant(Constant::Text(value)) => {
                self.policy.settings.class(&name, &[value.read()])
            }
            _ => match self.policy.settings.class(&name, &["\u{0}"]) {
                SettingClass::PinnedHolds => SettingClass::PinnedBroken,
                other => other,
            },
        };
        match class {
            SettingClass::Harmless | SettingClass::PinnedHolds => {}
            SettingClass::PinnedBroken | SettingClass::Unknown => {
                self.escape(span, "a setting that the guard relies on, or does not know");
            }
        }
    }

    fn escape(&mut self, span: Span, detail: &str) {
        self.violate(
            Rule::SessionEscape,
            None,
            span,
            detail.to_owned(),
            "set it as a statement of its own, by a constant name, to a value that the guard allows",
        );
    }

    /// `t.f` where `t` has no column `f` is the call `f(t)` (documentation, 4.2.6, functional
    /// notation).
    pub(super) fn attribute(&mut self, parts: &[Name], scope: &Scope<'_>) {
        let [.., qualifier, name] = parts else {
            return;
        };
        let Some(reference) = self.by_alias(&qualifier.text, scope) else {
            return;
        };
        if self.graph.has(reference, &name.text) == Has::No {
            self.field_call(name);
        }
    }

    /// `(x).f` is the call `f(x)` where `x` has no field `f`. What composite types have for fields
    /// is not known, so a routine of that name in the catalogue is taken for the one that is called.
    pub(super) fn field(&mut self, base: &Expr, name: &Name, scope: &Scope<'_>) {
        match self.whole_row(base, scope) {
            Some(reference) => match self.graph.has(reference, &name.text) {
                Has::No => self.field_call(name),
                Has::Maybe | Has::Sure => {}
            },
            None => {
                let exists = |catalog: &Arc<Catalog>| !catalog.routines(&name.text).is_empty();
                if self.policy.catalog.as_ref().is_some_and(exists) {
                    self.field_call(name);
                }
            }
        }
    }

    fn field_call(&mut self, name: &Name) {
        if self.routine(None, &name.text) == Routine::Unknown {
            self.violate(
                Rule::OpaqueSql,
                Some(&name.text),
                name.span,
                "a field that is no column: a routine that is not known to be harmless".to_owned(),
                "name it under [routines] allow if it reads no guarded table",
            );
        }
    }

    /// The relation whose row a bare name means: only where no relation in sight can have a column
    /// of that name, which would come first (PostgreSQL source, `transformColumnRef`).
    pub(super) fn whole_row(&self, base: &Expr, scope: &Scope<'_>) -> Option<ReferenceId> {
        let Expr::Column(parts) = base else {
            return None;
        };
        let [name] = parts.as_slice() else {
            return None;
        };
        let mut level = Some(scope);
        while let Some(here) = level {
            if here.references.iter().any(|id| self.graph.has(*id, &name.text) != Has::No) {
                return None;
            }
            level = here.outer;
        }
        self.by_alias(&name.text, scope)
    }

    /// Whether any column below could be of a guarded table.
    fn sees_guarded_columns(&mut self, call: &Call, scope: &Scope<'_>) -> bool {
        let guarded_here = self.any_guarded(scope);
        guarded_here && call.arguments.iter().any(mentions_column)
    }

    fn any_guarded(&self, scope: &Scope<'_>) -> bool {
        let here = scope
            .references
            .iter()
            .any(|reference| !matches!(self.source_of(*reference), Some(GraphSource::Unknown)));
        here || scope.outer.is_some_and(|outer| self.any_guarded(outer))
    }

    /// `current_setting('…'[, true])` and `nullif(that, '')` of the tenant's setting.
    pub(super) fn setting_operand(&self, call: &Call) -> Option<Operand> {
        let setting = self.policy.tenant_setting.as_deref()?;
        if call.qualifier.iter().any(|schema| &*schema.text != "pg_catalog") || call.over.is_some()
        {
            return None;
        }
        match (&*call.name.text, call.arguments.as_slice()) {
            ("current_setting", [name] | [name, Expr::Constant(Constant::Boolean(_))]) => {
                let name = text_constant(name)?;
                name.eq_ignore_ascii_case(setting).then_some(Operand::Setting)
            }
            ("nullif", [Expr::Call(inner), empty])
                if text_constant(empty).is_some_and(str::is_empty) =>
            {
                self.setting_operand(inner)
            }
            _ => None,
        }
    }
}

/// A text constant, as it is written or as `pg_get_viewdef` writes it: with its type.
fn text_constant(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Constant(Constant::Text(text)) => Some(text.read()),
        Expr::Cast { expr, target: TypeName::Plain("text") } => text_constant(expr),
        _ => None,
    }
}

fn mentions_column(expr: &Expr) -> bool {
    if let Expr::Column(_) = expr {
        return true;
    }
    let (mut found, mut has_query) = (false, false);
    expr.parts(&mut |part| found = found || mentions_column(part), &mut |_| has_query = true);
    found || has_query
}
