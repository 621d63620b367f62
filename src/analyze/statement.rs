//! Statements as a whole: their kind, their effect on the session, and what is refused about them
//! before any query is looked at.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "over our own model, a wildcard arm says that nothing is known of a value"
)]

use std::sync::Arc;

use super::build::sole_call;
use super::copy::CopyPlan;
use super::effect::{Effect, NewValue};
use super::kind::Kind;
use super::plan::plan_statement;
use super::reader::Reader;
use super::verdict::{Rule, Violation};
use crate::policy::{Policy, SettingClass};
use crate::sql::model::{Body, Call, Constant, Expr, Name, Query, Write};
use crate::sql::{
    CopyFrom, Operand, Span, Statement, StatementBody, TransactionControl, Utility, Wrapper,
};

/// What is known of a statement beside its query.
pub(super) struct Outline<'s> {
    pub(super) kind: Kind,
    pub(super) effect: Effect,
    pub(super) violations: Vec<Violation>,
    /// The query whose obligations are the statement's.
    pub(super) query: Option<&'s Query>,
    /// Where EXPLAIN stands if it would show row estimates.
    pub(super) explained: Option<Span>,
    /// A relation is named outside a query that the catalogue does not know (yet).
    pub(super) unknown_relation: bool,
    /// Whether the query is kept as a view, for every tenant.
    pub(super) is_view: bool,
    /// How the rows of a COPY into a guarded table are read.
    pub(super) copy: Option<CopyPlan>,
}

pub(super) fn outline<'s>(
    statement: &'s Statement,
    policy: &Policy,
    reader: Reader,
) -> Outline<'s> {
    let mut outline = Outline {
        kind: Kind::Utility,
        effect: Effect::None,
        violations: sweep(statement, policy),
        query: None,
        explained: None,
        unknown_relation: false,
        is_view: false,
        copy: None,
    };
    match &statement.body {
        StatementBody::Query(query) => {
            outline.kind = query_kind(query);
            outline.effect = query_effect(query, policy);
            outline.query = Some(query);
        }
        StatementBody::Explain { costs_off, statement: inner } => {
            let own = self::outline(inner, policy, reader);
            outline.kind = Kind::Select;
            outline.violations.extend(own.violations);
            outline.effect = match own.effect {
                Effect::Execute { name, arguments, explained: _ } => {
                    Effect::Execute { name, arguments, explained: true }
                }
                effect => wrapped(&effect, statement.span, &mut outline.violations),
            };
            outline.query = own.query;
            outline.is_view = own.is_view;
            outline.explained = (!costs_off).then_some(statement.span);
        }
        StatementBody::Prepare { .. }
        | StatementBody::Execute { .. }
        | StatementBody::Deallocate(_)
        | StatementBody::Declare { .. }
        | StatementBody::Fetch(_)
        | StatementBody::Close(_) => {
            outline.kind = Kind::Prepared;
            prepared(&mut outline, &statement.body, policy, reader);
        }
        StatementBody::Wrapped { wrapper, statement } => {
            let own = self::outline(statement, policy, reader);
            outline.kind = if *wrapper == Wrapper::Copy { Kind::Copy } else { Kind::Utility };
            outline.violations.extend(own.violations);
            wrapped(&own.effect, statement.span, &mut outline.violations);
            outline.query = own.query;
            outline.is_view = *wrapper == Wrapper::View;
        }
        StatementBody::Transaction(control) => {
            outline.kind = Kind::Transaction;
            outline.effect = transaction(control);
        }
        StatementBody::Set { local, name, values } => {
            outline.kind = Kind::Setting;
            set(&mut outline, *local, name, values, policy);
        }
        StatementBody::Reset(name) => {
            outline.kind = Kind::Setting;
            reset(&mut outline, name.as_ref(), policy);
        }
        StatementBody::Show => outline.kind = Kind::Setting,
        StatementBody::DiscardAll => {
            outline.kind = Kind::Setting;
            outline.effect = Effect::DiscardAll;
        }
        StatementBody::CopyFrom(copy) => {
            copy_from(&mut outline, copy, statement, policy, reader);
        }
        StatementBody::Utility(utility) => {
            outline.kind = if *utility == Utility::CopyTable { Kind::Copy } else { Kind::Utility };
            self::utility(&mut outline, *utility, statement.span);
            if outline.violations.is_empty() {
                super::touched::touched(&mut outline, *utility, statement, policy, reader);
            }
        }
    }
    outline
}

fn copy_from(
    outline: &mut Outline<'_>,
    copy: &CopyFrom,
    statement: &Statement,
    policy: &Policy,
    reader: Reader,
) {
    outline.kind = Kind::Copy;
    match CopyPlan::of(copy, policy) {
        Ok(plan) => outline.copy = plan,
        Err(violation) => outline.violations.push(violation),
    }
    if outline.violations.is_empty() {
        super::touched::touched(outline, Utility::CopyTable, statement, policy, reader);
    }
}

/// The effect of a statement inside EXPLAIN, DECLARE, COPY or CREATE TABLE AS, which may run it
/// later, in part, or never: the tenant is not set there.
fn wrapped(effect: &Effect, span: Span, violations: &mut Vec<Violation>) -> Effect {
    if let Effect::SetTenant { .. } = effect {
        violations.push(Violation {
            rule: Rule::SessionEscape,
            table: None,
            span,
            detail: "the tenant is set inside a statement that does something else".into(),
            hint: "set it as a statement of its own".into(),
        });
    }
    Effect::None
}

/// Prepared statements and cursors.
fn prepared<'s>(
    outline: &mut Outline<'s>,
    body: &'s StatementBody,
    policy: &Policy,
    reader: Reader,
) {
    match body {
        StatementBody::Prepare { name, types, statement } => {
            let statement = Arc::new(plan_statement(statement, policy, reader));
            outline.effect =
                Effect::Prepare { name: name.text.clone(), types: types.clone(), statement };
        }
        StatementBody::Execute { name, arguments } => {
            let arguments = arguments.iter().map(NewValue::from).collect();
            outline.effect =
                Effect::Execute { name: name.text.clone(), arguments, explained: false };
        }
        StatementBody::Deallocate(name) => {
            outline.effect = Effect::Deallocate(name.as_ref().map(|name| name.text.clone()));
        }
        StatementBody::Declare { name, hold, statement } => {
            let own = self::outline(statement, policy, reader);
            outline.effect = Effect::Declare { name: name.text.clone(), hold: *hold };
            outline.violations.extend(own.violations);
            wrapped(&own.effect, statement.span, &mut outline.violations);
            outline.query = own.query;
        }
        StatementBody::Fetch(name) => {
            outline.effect = Effect::Fetch(name.text.clone());
        }
        StatementBody::Close(name) => {
            outline.effect = Effect::CloseCursor(name.as_ref().map(|name| name.text.clone()));
        }
        _ => {}
    }
}

/// The token sweep: no identifier that the model does not account for may name a guarded relation.
/// What it finds in a query was hidden from the parser; in a utility statement it is its object.
fn sweep(statement: &Statement, policy: &Policy) -> Vec<Violation> {
    let is_guarded = |name: &str| {
        policy.tables.guard(name).is_some()
            || policy.catalog.as_ref().is_some_and(|catalog| catalog.is_guarded_name(name))
    };
    // Its rows are judged as they come, if it is guarded by its own name.
    let target = match &statement.body {
        StatementBody::CopyFrom(copy)
            if policy.copy_from && policy.tables.guard(&copy.table.text).is_some() =>
        {
            Some(copy.table.span)
        }
        _ => None,
    };
    let mut names = statement.unaccounted.iter().filter(|name| Some(name.span) != target);
    let found = names.find(|name| is_guarded(&name.text));
    let Some(Name { text, span }) = found else {
        return Vec::new();
    };
    let (rule, detail, hint) = match &statement.body {
        StatementBody::Utility(Utility::CopyTable) | StatementBody::CopyFrom(_) => (
            Rule::GuardedCopy,
            "COPY of a guarded table takes or gives rows of every tenant",
            "copy a query that is bound to one tenant: COPY (SELECT …) TO STDOUT",
        ),
        StatementBody::Utility(_)
        | StatementBody::Wrapped { wrapper: Wrapper::TableAs | Wrapper::View, .. } => (
            Rule::GuardedDdl,
            "a utility statement on a guarded table",
            "run it as a migration, on a direct connection",
        ),
        StatementBody::Query(_)
        | StatementBody::Explain { .. }
        | StatementBody::Prepare { .. }
        | StatementBody::Execute { .. }
        | StatementBody::Deallocate(_)
        | StatementBody::Declare { .. }
        | StatementBody::Fetch(_)
        | StatementBody::Close(_)
        | StatementBody::Wrapped { .. }
        | StatementBody::Transaction(_)
        | StatementBody::Set { .. }
        | StatementBody::Reset(_)
        | StatementBody::Show
        | StatementBody::DiscardAll => (
            Rule::NotUnderstood,
            "a guarded table's name stands where the guard does not read a table",
            "write the statement without PostgreSQL's shorthand forms",
        ),
    };
    vec![Violation {
        rule,
        table: Some(text.clone()),
        span: *span,
        detail: detail.into(),
        hint: hint.into(),
    }]
}

fn utility(outline: &mut Outline<'_>, utility: Utility, span: Span) {
    let (rule, reason, hint) = match utility {
        Utility::Plain | Utility::CopyTable => return,
        Utility::Ddl(reason) => {
            (Rule::GuardedDdl, reason, "run it as a migration, on a direct connection")
        }
        Utility::Opaque(reason) => (
            Rule::OpaqueSql,
            reason,
            "send the statements that it would run themselves, or use a direct connection",
        ),
        Utility::Escape(reason) => {
            (Rule::SessionEscape, reason, "run it as an administrator, on a direct connection")
        }
    };
    outline.violations.push(Violation {
        rule,
        table: None,
        span,
        detail: reason.into(),
        hint: hint.into(),
    });
}

fn query_kind(query: &Query) -> Kind {
    match &query.body {
        Body::Write(write) => match &**write {
            Write::Insert(_) => Kind::Insert,
            Write::Update(_) => Kind::Update,
            Write::Delete(_) => Kind::Delete,
            Write::Merge(_) => Kind::Merge,
        },
        Body::Block(_) | Body::Nested(_) | Body::SetOperation { .. } | Body::Values(_) => {
            Kind::Select
        }
    }
}

fn is_tenant_setting(name: &str, policy: &Policy) -> bool {
    policy.tenant_setting.as_deref().is_some_and(|setting| setting.eq_ignore_ascii_case(name))
}

/// Whether a query is one call of a routine that sets the tenant.
pub(super) fn is_setter_call(query: &Query, policy: &Policy) -> bool {
    policy.tenant_setting.is_some()
        && sole_call(query).is_some_and(|Call { qualifier, name, .. }| {
            let schema = qualifier.last().map(|schema| &*schema.text);
            policy.is_tenant_setter(schema, &name.text)
        })
}

/// `SELECT set_config('the tenant's setting', value, is_local)` and nothing else, or the same by a
/// routine of the application's.
fn query_effect(query: &Query, policy: &Policy) -> Effect {
    let Some(Call { qualifier, name, arguments, .. }) = sole_call(query) else {
        return Effect::None;
    };
    if is_setter_call(query, policy) {
        let value = match arguments.as_slice() {
            [value] => new_value(value),
            _ => NewValue::Unknown,
        };
        // How long it lasts is seen when the setting is read again.
        return Effect::SetTenant { local: true, value };
    }
    if &*name.text != "set_config" || qualifier.iter().any(|schema| &*schema.text != "pg_catalog") {
        return Effect::None;
    }
    match arguments.as_slice() {
        [Expr::Constant(Constant::Text(setting)), value, local]
            if is_tenant_setting(setting.read(), policy) =>
        {
            let local = match local {
                Expr::Constant(Constant::Boolean(local)) => *local,
                Expr::Constant(Constant::Null) => false,
                // Whether it is local is not known: the value is not either.
                _ => {
                    return Effect::SetTenant { local: false, value: NewValue::Unknown };
                }
            };
            Effect::SetTenant { local, value: new_value(value) }
        }
        _ => Effect::None,
    }
}

fn new_value(expr: &Expr) -> NewValue {
    match expr {
        Expr::Constant(Constant::Text(text)) => NewValue::Text(text.read().into()),
        Expr::Constant(Constant::Number(digits)) => NewValue::Text(digits.read().into()),
        Expr::Constant(Constant::Null) => NewValue::Null,
        Expr::Parameter(number) => NewValue::Parameter(*number),
        Expr::Cast { expr, target: crate::sql::model::TypeName::Plain("text" | "uuid") } => {
            new_value(expr)
        }
        _ => NewValue::Unknown,
    }
}

fn reset(outline: &mut Outline<'_>, name: Option<&Name>, policy: &Policy) {
    match name {
        None => outline.effect = Effect::ResetTenant,
        Some(name) if is_tenant_setting(&name.text, policy) => {
            outline.effect = Effect::ResetTenant;
        }
        // It does not come back to what the session began with.
        Some(name) if policy.settings.pooled => set(outline, false, name, &[], policy),
        Some(_) => {}
    }
}

fn set(outline: &mut Outline<'_>, local: bool, name: &Name, values: &[Operand], policy: &Policy) {
    if is_tenant_setting(&name.text, policy) {
        outline.effect = match values {
            [] if !local => Effect::ResetTenant,
            [] => Effect::SetTenant { local, value: NewValue::Null },
            [only] => Effect::SetTenant { local, value: NewValue::from(only) },
            _ => Effect::SetTenant { local, value: NewValue::Unknown },
        };
        return;
    }
    let texts: Option<Vec<&str>> = values
        .iter()
        .map(|value| match value {
            Operand::Text(text) => Some(&**text),
            Operand::Null | Operand::Parameter(_) => None,
        })
        .collect();
    let class =
        texts.map_or(SettingClass::Unknown, |texts| policy.settings.class(&name.text, &texts));
    let reason = match class {
        SettingClass::Harmless | SettingClass::PinnedHolds => return,
        SettingClass::PinnedBroken => "a setting that the guard relies on would change",
        SettingClass::Unknown => "a setting that is not known to be harmless",
    };
    outline.violations.push(Violation {
        rule: Rule::SessionEscape,
        table: None,
        span: name.span,
        detail: reason.into(),
        hint: "leave the setting alone, or name it under [session] settings if it is harmless"
            .into(),
    });
}

fn transaction(control: &TransactionControl) -> Effect {
    match control {
        TransactionControl::Begin => Effect::Begin,
        TransactionControl::Commit(chain) => Effect::Commit { chain: *chain },
        TransactionControl::Rollback(chain) => Effect::Rollback { chain: *chain },
        TransactionControl::Savepoint(name) => Effect::Savepoint(name.clone()),
        TransactionControl::Release(name) => Effect::Release(name.clone()),
        TransactionControl::RollbackTo(name) => Effect::RollbackTo(name.clone()),
        TransactionControl::PrepareTransaction => Effect::PrepareTransaction,
        TransactionControl::Other => Effect::None,
    }
}
