use super::mode::{Rebinding, TenantRules, UnknownTenant};
use super::registry::{Portal, Registry};
use super::tenant::{Scope, Setting};
use crate::analyze::{
    Argument, Arguments, Effect, Form, NewValue, Rule, SessionTenant, StatementPlan, Verdict,
    Violation,
};
use crate::sql::Span;
use crate::tenant::{Tenant, TenantType};

/// What a statement needs that the session does not have. The server would say the same, but is
/// not asked: what the registry does not know has not been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// A prepared statement.
    Statement,
    /// A cursor or portal.
    Portal,
}

/// For a client behind whose guard a pooler stands.
const NO_RESET: &str = "set each setting by its value: behind a pooler, RESET and DISCARD ALL come back \
                        to what another session may have left";

/// A verdict, and what was missing to give one.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) missing: Option<Missing>,
}

/// What statements are judged by, beside themselves.
#[derive(Clone, Debug)]
pub(super) struct Court<'a> {
    pub(super) rules: &'a TenantRules,
    pub(super) tenant_type: TenantType,
    pub(super) scope: &'a Scope,
    pub(super) registry: &'a Registry,
    /// What the comments of the text say.
    pub(super) comment: Option<Setting>,
    /// A pooler stands before the server: what a session began with was set after its login, and no
    /// reset comes back to it.
    pub(super) pooled: bool,
}

impl Court<'_> {
    /// The session's tenant, or the statement's.
    pub(super) fn own_tenant(&self) -> &Setting {
        match (self.scope.tenant(), &self.comment) {
            (tenant, None) => tenant,
            (Setting::Unset, Some(comment)) => comment,
            (tenant, Some(comment)) if tenant == comment => tenant,
            // A comment takes the place of nothing that is better known.
            (_, Some(_)) => &Setting::Unknown,
        }
    }

    pub(super) fn tenant(&self) -> SessionTenant<'_> {
        match self.own_tenant() {
            Setting::Known(tenant) => SessionTenant::Known(tenant),
            // A value that is no tenant is no leave to choose one.
            Setting::Unknown | Setting::Unsure => SessionTenant::Required,
            Setting::Unset => match self.rules.unknown {
                UnknownTenant::Refuse => SessionTenant::Required,
                UnknownTenant::Structural => SessionTenant::Any,
            },
        }
    }

    /// The tenant, if it is known.
    pub(super) fn known(&self) -> Option<&Tenant> {
        match self.tenant() {
            SessionTenant::Known(tenant) => Some(tenant),
            SessionTenant::Required | SessionTenant::Any => None,
        }
    }

    /// Judges a statement that is about to run, or to be bound, with these arguments.
    pub(super) fn judge(&self, statement: &StatementPlan, arguments: Arguments<'_>) -> Judgement {
        let mut judgement =
            Judgement { verdict: statement.settle(self.tenant(), arguments), missing: None };
        self.judge_setting(statement, &mut judgement);
        let bound = bound_value(statement.effect(), arguments);
        self.judge_effect(statement, bound.as_ref(), &mut judgement);
        judgement
    }

    /// Judges again what may have changed since a portal was bound.
    pub(super) fn judge_execute(&self, portal: &Portal) -> Judgement {
        let mut judgement = Judgement::default();
        let Some(statement) = portal.statement().plan() else {
            return judgement;
        };
        self.judge_setting(statement, &mut judgement);
        if portal.tenant != *self.scope.tenant() && statement.is_guarded() {
            judgement.verdict.violations.push(stale(statement.span()));
        }
        if !portal.is_done() {
            self.judge_effect(statement, portal.bound.as_ref(), &mut judgement);
        }
        judgement
    }

    /// The setting proves nothing where the tenant did not come from it.
    fn judge_setting(&self, statement: &StatementPlan, judgement: &mut Judgement) {
        let own = match &self.comment {
            Some(comment) if *self.scope.tenant() == Setting::Unset => comment,
            Some(_) | None => self.scope.tenant(),
        };
        if own != self.scope.current() && statement.reads_setting() {
            judgement.verdict.violations.push(Violation {
                rule: Rule::ForeignTenant,
                table: None,
                span: statement.span(),
                detail: "the session's tenant did not come from the setting that is read here"
                    .into(),
                hint: "write the tenant as a constant or a parameter".into(),
            });
        }
    }

    fn judge_effect(
        &self,
        statement: &StatementPlan,
        bound: Option<&NewValue>,
        judgement: &mut Judgement,
    ) {
        let span = statement.span();
        match statement.effect() {
            Effect::SetTenant { local, value } => {
                self.judge_rebinding(*local, bound.unwrap_or(value), span, judgement);
            }
            Effect::ResetTenant | Effect::DiscardAll => self.judge_reset(span, judgement),
            Effect::Execute { name, arguments, explained } => {
                self.judge_inner(name, arguments, *explained, span, judgement);
            }
            Effect::Fetch(name) => match self.registry.portal(name.as_bytes()) {
                None => judgement.missing = Some(Missing::Portal),
                Some(portal) => {
                    if portal.tenant != *self.scope.tenant()
                        && portal.statement().plan().is_some_and(StatementPlan::is_guarded)
                    {
                        judgement.verdict.violations.push(stale(span));
                    }
                }
            },
            Effect::None
            | Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::PrepareTransaction
            | Effect::Prepare { .. }
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::CloseCursor(_) => {}
        }
    }

    /// Judges an SQL EXECUTE by the statement that it runs.
    fn judge_inner(
        &self,
        name: &str,
        values: &[NewValue],
        explained: bool,
        span: Span,
        judgement: &mut Judgement,
    ) {
        let Some(prepared) = self.registry.statement(name.as_bytes()) else {
            judgement.missing = Some(Missing::Statement);
            return;
        };
        let Some(inner) = prepared.statement.plan() else {
            return;
        };
        self.judge_setting(inner, judgement);
        let arguments = execute_arguments(values, &prepared.types);
        let verdict = inner.settle(self.tenant(), Arguments::Values(&arguments));
        // The statement's own position is in another text, so EXECUTE's is told.
        judgement.verdict.violations.extend(
            verdict.violations.into_iter().map(|violation| Violation { span, ..violation }),
        );
        judgement.verdict.advice.extend(verdict.advice);
        match inner.effect() {
            Effect::SetTenant { local, value } if !explained => {
                self.judge_rebinding(*local, inner_value(value, values), span, judgement);
            }
            Effect::None => {}
            Effect::SetTenant { .. }
            | Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::PrepareTransaction
            | Effect::ResetTenant
            | Effect::DiscardAll
            | Effect::Prepare { .. }
            | Effect::Execute { .. }
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::Fetch(_)
            | Effect::CloseCursor(_) => {
                // A utility statement can be prepared by Parse only; EXECUTE runs it all the same
                // and the guard does not follow effects that deep.
                judgement.verdict.violations.push(Violation {
                    rule: Rule::OpaqueSql,
                    table: None,
                    span,
                    detail: "EXECUTE of a prepared utility statement is not followed".into(),
                    hint: "run the utility statement itself".into(),
                });
            }
        }
    }

    fn judge_rebinding(
        &self,
        local: bool,
        value: &NewValue,
        span: Span,
        judgement: &mut Judgement,
    ) {
        if self.pooled && *value == NewValue::Null {
            return self.refuse_rebinding(span, NO_RESET, judgement);
        }
        if self.scope.is_fixed() {
            return;
        }
        let value = &setting(value, self.scope, self.tenant_type);
        let (allowed, hint) = match self.rules.rebinding {
            Rebinding::Free => (true, ""),
            Rebinding::Never => (
                !matches!(value, Setting::Unknown | Setting::Unsure)
                    && (*self.scope.first() == Setting::Unset || value == self.scope.first()),
                "the session keeps its first tenant: open another session for another tenant",
            ),
            Rebinding::Transaction => (
                local
                    && !matches!(value, Setting::Unknown | Setting::Unsure)
                    && !self.scope.touched
                    && (!self.scope.rebound || value == self.scope.current()),
                "set the tenant once in each transaction, by SET LOCAL or set_config(…, true), \
                 before its first statement on a guarded table",
            ),
        };
        if !allowed {
            self.refuse_rebinding(span, hint, judgement);
        }
    }

    fn judge_reset(&self, span: Span, judgement: &mut Judgement) {
        if self.pooled {
            return self.refuse_rebinding(span, NO_RESET, judgement);
        }
        if self.scope.is_fixed() {
            return;
        }
        match self.rules.rebinding {
            Rebinding::Free => {}
            Rebinding::Never | Rebinding::Transaction => {
                if self.scope.current() != self.scope.startup() {
                    self.refuse_rebinding(
                        span,
                        "leave the tenant's setting as it is, or end the transaction first",
                        judgement,
                    );
                }
            }
        }
    }

    fn refuse_rebinding(&self, span: Span, hint: &str, judgement: &mut Judgement) {
        judgement.verdict.violations.push(Violation {
            rule: Rule::SessionEscape,
            table: self.rules.setting.clone(),
            span,
            detail: "the session's tenant may not be changed here".into(),
            hint: hint.into(),
        });
    }
}

/// The values of an SQL EXECUTE. Each is converted to its parameter's type by the server, so a
/// constant's text is what settle would see at Bind.
pub(super) fn execute_arguments<'a>(values: &'a [NewValue], types: &[u32]) -> Vec<Argument<'a>> {
    let types = types.iter().copied().chain(std::iter::repeat(0));
    values
        .iter()
        .zip(types)
        .map(|(value, type_oid)| Argument {
            type_oid,
            form: match value {
                NewValue::Null => Form::Null,
                NewValue::Text(text) => Form::Text(text.as_bytes()),
                NewValue::Parameter(_) | NewValue::Unknown => Form::Unknown,
            },
        })
        .collect()
}

/// The value that an inner statement's `$n` has in an EXECUTE with these values.
pub(super) fn inner_value<'a>(value: &'a NewValue, values: &'a [NewValue]) -> &'a NewValue {
    match value {
        NewValue::Parameter(number) => {
            let at = usize::from(*number).checked_sub(1);
            at.and_then(|at| values.get(at)).unwrap_or(&NewValue::Unknown)
        }
        NewValue::Null | NewValue::Text(_) | NewValue::Unknown => value,
    }
}

/// The value that a statement's `SET tenant = $n` gets from its Bind; `None` if it has no such.
pub(super) fn bound_value(effect: &Effect, arguments: Arguments<'_>) -> Option<NewValue> {
    let Effect::SetTenant { value: NewValue::Parameter(number), .. } = effect else {
        return None;
    };
    let Arguments::Values(values) = arguments else {
        return Some(NewValue::Unknown);
    };
    let at = usize::from(*number).checked_sub(1);
    let Some(argument) = at.and_then(|at| values.get(at)) else {
        return Some(NewValue::Unknown);
    };
    // unspecified, text, unknown, varchar: their binary form is their text.
    let textual = matches!(argument.type_oid, 0 | 25 | 705 | 1043);
    let bytes = match argument.form {
        Form::Null => return Some(NewValue::Null),
        Form::Text(bytes) => bytes,
        Form::Binary(bytes) if textual => bytes,
        Form::Binary(_) | Form::Unknown => return Some(NewValue::Unknown),
    };
    let text = std::str::from_utf8(bytes).map(Into::into);
    Some(text.map_or(NewValue::Unknown, NewValue::Text))
}

/// The setting that a new value makes.
pub(super) fn setting(value: &NewValue, scope: &Scope, tenant_type: TenantType) -> Setting {
    match value {
        NewValue::Null => scope.startup().clone(),
        NewValue::Text(text) => Setting::read(text, tenant_type),
        NewValue::Parameter(_) | NewValue::Unknown => Setting::Unsure,
    }
}

/// A portal or cursor whose statement is no longer known to hold.
pub(super) fn overtaken(span: Span) -> Violation {
    Violation {
        rule: Rule::HiddenRelation,
        table: None,
        span,
        detail: "the schema or the policy has changed since the cursor or portal was opened".into(),
        hint: "close it and open it again".into(),
    }
}

fn stale(span: Span) -> Violation {
    Violation {
        rule: Rule::ForeignTenant,
        table: None,
        span,
        detail: "the cursor or portal was opened under another tenant".into(),
        hint: "close it and open it again under the session's tenant".into(),
    }
}
