use std::sync::Arc;

use smallvec::SmallVec;

use super::gate::{self, Ruling};
use super::judge::{Judgement, Missing, bound_value};
use super::message::{FromClient, RawBind, Target};
use super::mode::Decision;
use super::pipeline::Entry;
use super::planned::{Planned, Planner};
use super::refusal::{FAILING_COPY, FAILING_PARSE, Refusal};
use super::registry::{Injected, Portal, Prepared, Sent, Side, StatementRef, name};
use super::replace::{Replaced, bind_message, judge_constant, parse_message};
use super::report::{absent, refusal, several, tell, text_of, too_many, too_many_values};
use super::{ClientStep, Output, Session, Span};
use crate::analyze::{
    Argument, Arguments, Form, Kind, Rule, SessionTenant, StatementPlan, Verdict, Violation,
};
use crate::rewrite::tenant_text;

/// The verdict on the text of a Parse: whether some tenant and some values make it hold.
pub(super) fn judge_parse(planned: &Planned) -> (Kind, Verdict) {
    let statements = planned.plan().statements();
    let mut verdict = Verdict::default();
    let mut kind = Kind::Select;
    for statement in statements {
        kind = statement.kind();
        let one = statement.settle(SessionTenant::Any, Arguments::Unknown);
        verdict.violations.extend(one.violations);
    }
    if let [_, second, ..] = statements {
        verdict.violations.push(several(second.span()));
    }
    (kind, verdict)
}

impl Session {
    /// Takes the client's next message.
    pub fn client(
        &mut self,
        message: &FromClient<'_>,
        planner: &dyn Planner,
        out: &mut Output,
    ) -> ClientStep {
        if let Some(newer) = planner.newer_modes(self.modes.generation()) {
            self.modes = newer;
        }
        let enforcing = gate::refuses(self.rules.mode);
        if enforcing {
            if let Some(step) = self.before(message, out) {
                return step;
            }
        } else if self.lost || self.pipeline.is_full() {
            if !self.lost {
                self.lose("too many answers outstanding", out);
            }
            return forward(gate::decide_unjudged(self.modes.whole()));
        } else if self.skipping && !matches!(message, FromClient::Sync) {
            return forward(gate::decide_unjudged(self.modes.whole()));
        }
        match message {
            FromClient::Query(text) => match planner.plan_bytes(text, &self.overlay) {
                Some(planned) => self.query(&planned, planner, out),
                None => ClientStep::Wait,
            },
            FromClient::Parse { name, text, types } => {
                match planner.plan_bytes(text, &self.overlay) {
                    Some(planned) => self.parse(name, &planned, types, planner, out),
                    None => ClientStep::Wait,
                }
            }
            FromClient::Bind { portal, statement, values, raw } => {
                let Some(prepared) = self.current(statement, planner) else {
                    return ClientStep::Wait;
                };
                self.bind((portal, statement), prepared, (values, raw), planner, out)
            }
            FromClient::Execute(portal) => self.execute(portal, planner, out),
            FromClient::FunctionCall => self.function_call(out),
            FromClient::Describe(..)
            | FromClient::Close(..)
            | FromClient::Flush
            | FromClient::Sync
            | FromClient::CopyData
            | FromClient::CopyDone
            | FromClient::CopyFail
            | FromClient::Terminate
            | FromClient::Password => self.harmless(message, out),
        }
    }

    /// What comes before any judgement where statements are refused: login, COPY, skipping after
    /// a refusal, and waiting for an earlier group. `None` if the message's turn has come.
    fn before(&mut self, message: &FromClient<'_>, out: &mut Output) -> Option<ClientStep> {
        let (first_of_copy, waits) = match message {
            FromClient::Terminate => return None,
            FromClient::Password => {
                if self.logged_in {
                    self.lose("authentication after login", out);
                    return Some(ClientStep::End);
                }
                return None;
            }
            FromClient::Flush
            | FromClient::CopyData
            | FromClient::CopyDone
            | FromClient::CopyFail => (false, false),
            // Within a COPY, the server ignores Sync.
            FromClient::Sync => (false, !self.copy_in),
            FromClient::Query(_)
            | FromClient::Parse { .. }
            | FromClient::Bind { .. }
            | FromClient::Execute(_)
            | FromClient::FunctionCall
            | FromClient::Describe(..)
            | FromClient::Close(..) => (true, true),
        };
        if !self.logged_in {
            return Some(ClientStep::Wait);
        }
        if self.skipping {
            return match message {
                FromClient::Sync if self.pipeline.awaits_ready() => Some(ClientStep::Wait),
                FromClient::Sync | FromClient::Flush => None,
                FromClient::Terminate
                | FromClient::Password
                | FromClient::CopyData
                | FromClient::CopyDone
                | FromClient::CopyFail
                | FromClient::Query(_)
                | FromClient::Parse { .. }
                | FromClient::Bind { .. }
                | FromClient::Execute(_)
                | FromClient::FunctionCall
                | FromClient::Describe(..)
                | FromClient::Close(..) => Some(ClientStep::Drop),
            };
        }
        if self.copy_in && first_of_copy {
            // The server fails the COPY at such a message, and does not run it; since 14 it ends the
            // session as well, which helps nobody.
            self.copy_in = false;
            self.copy = None;
            self.skipping = !matches!(self.pipeline.head(), Some(Entry::Query(..)));
            self.pipeline.push(Entry::CopyEnd);
            return Some(ClientStep::Instead(gate::substitute(), FAILING_COPY.into()));
        }
        if waits && (self.pipeline.awaits_ready() || self.pipeline.is_full()) {
            return Some(ClientStep::Wait);
        }
        None
    }

    /// A message that runs nothing by itself.
    fn harmless(&mut self, message: &FromClient<'_>, out: &mut Output) -> ClientStep {
        let Some(permit) = gate::harmless(message) else {
            return ClientStep::End;
        };
        match message {
            FromClient::Describe(Target::Statement, given) => {
                self.pipeline.push(Entry::DescribeStatement(name(given).into()));
            }
            FromClient::Describe(Target::Portal, _) => self.pipeline.push(Entry::DescribePortal),
            FromClient::Close(target, given) => {
                let given = name(given);
                match target {
                    Target::Statement => self.registry.remove_statement(Side::Predicted, given),
                    Target::Portal => self.registry.remove_portal(Side::Predicted, given),
                }
                self.pipeline.push(Entry::Close(*target, given.into()));
            }
            FromClient::Sync => {
                if !self.copy_in {
                    self.skipping = false;
                    self.group_ran = false;
                    self.predicted.assume_ready();
                    self.pipeline.push(Entry::Sync);
                }
            }
            FromClient::CopyDone | FromClient::CopyFail => {
                if matches!(message, FromClient::CopyFail) {
                    self.copy = None;
                }
                if let Some(step) = self.end_copy(out) {
                    return step;
                }
                if !self.pipeline.is_empty() {
                    self.pipeline.push(Entry::CopyEnd);
                }
                self.copy_in = false;
            }
            FromClient::Query(_)
            | FromClient::Parse { .. }
            | FromClient::Bind { .. }
            | FromClient::Execute(_)
            | FromClient::FunctionCall
            | FromClient::Flush
            | FromClient::CopyData
            | FromClient::Terminate
            | FromClient::Password => {}
        }
        ClientStep::Forward(permit)
    }

    fn parse(
        &mut self,
        given: &[u8],
        planned: &Arc<Planned>,
        types: &[u32],
        planner: &dyn Planner,
        out: &mut Output,
    ) -> ClientStep {
        if self.registry.is_full() && gate::refuses(self.rules.mode) {
            return self.refuse_extended(too_many(), out);
        }
        match self.replaced_parse(planned, types.len(), planner) {
            Replaced::No => {}
            Replaced::Yes(replacement) => {
                let (_, verdict) = judge_parse(&replacement.sent);
                if let Ruling::Forward(permit) =
                    gate::decide(&self.modes, Some(planned), std::iter::once(&verdict))
                {
                    self.tell_rewritten(&replacement, out);
                    if !self.rules.dry_run {
                        let message = parse_message(given, replacement.sent.text(), types);
                        self.sent_parse(given, Sent::Instead(replacement), types);
                        return ClientStep::Instead(permit, message.into());
                    }
                }
            }
        }
        let (kind, verdict) = judge_parse(planned);
        match gate::decide(&self.modes, Some(planned), std::iter::once(&verdict)) {
            Ruling::Forward(permit) => {
                self.sent_parse(given, Sent::Own(Arc::clone(planned)), types);
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                tell(kind, &verdict, Some(planned), (&self.modes, Decision::Refuse), out);
                self.refuse_extended(refusal(&verdict, Some(planned), None), out)
            }
        }
    }

    /// A Parse is on its way.
    fn sent_parse(&mut self, given: &[u8], sent: Sent, types: &[u32]) {
        let injected = match sent.replacement().map(|it| &it.injected) {
            Some(Injected::Parameter(number)) => Some(*number),
            Some(Injected::Nothing | Injected::Constant(_)) | None => None,
        };
        let statement = StatementRef::Nth(sent, 0);
        let prepared = Arc::new(Prepared { statement, types: types.to_vec(), injected });
        let given = name(given);
        self.registry.put_statement(Side::Predicted, given, Arc::clone(&prepared));
        self.pipeline.push(Entry::Parse(given.into(), prepared));
    }

    fn bind(
        &mut self,
        (portal, statement): (&[u8], &[u8]),
        prepared: Option<Arc<Prepared>>,
        (values, raw): (&[Form<'_>], &RawBind<'_>),
        planner: &dyn Planner,
        out: &mut Output,
    ) -> ClientStep {
        let Some(prepared) = prepared else {
            return match gate::decide_unjudged(self.modes.whole()) {
                Ruling::Forward(permit) => {
                    self.pipeline.push(Entry::Bind(name(portal).into(), None));
                    ClientStep::Forward(permit)
                }
                Ruling::Refuse => self.refuse_extended(absent(Missing::Statement), out),
            };
        };
        if self.registry.is_full() && gate::refuses(self.rules.mode) {
            return self.refuse_extended(too_many(), out);
        }
        let more = match self.one_more(&prepared, values.len()) {
            Ok(more) => more,
            Err(refused) => return self.refuse_extended(*refused, out),
        };
        let more_text = more.as_ref().map(tenant_text);
        let more_form = more_text.as_ref().map(|text| Form::Text(text.as_bytes()));
        let types = prepared.types.iter().copied().chain(std::iter::repeat(0));
        let arguments: SmallVec<[Argument<'_>; 6]> = values
            .iter()
            .copied()
            .chain(more_form)
            .zip(types)
            .map(|(form, type_oid)| Argument { type_oid, form })
            .collect();
        let arguments = Arguments::Values(&arguments);
        let plan = prepared.statement.plan();
        if let Some(plan) = plan {
            self.renew_inner(plan, planner);
        }
        let text = text_of(&prepared.statement);
        let court = self.court_of(text.map(|text| &**text));
        let Judgement { mut verdict, missing } =
            plan.map_or_else(Judgement::default, |plan| court.judge(plan, arguments));
        judge_constant(&court, &prepared, &mut verdict);
        if let Some(replacement) = prepared.statement.replacement() {
            verdict = replacement.translate(verdict);
        }
        let ruling = self.decide(text.map(|it| &**it), std::iter::once(&verdict), missing);
        if let Some(plan) = plan {
            let replaced = prepared.statement.replacement().is_some();
            let told = match ruling.decision() {
                Decision::Forward if replaced => Decision::Replace,
                decision @ (Decision::Forward | Decision::Refuse | Decision::Replace) => decision,
            };
            tell(plan.kind(), &verdict, text, (&self.modes, told), out);
        }
        let Ruling::Forward(permit) = ruling else {
            return self.refuse_extended(refusal(&verdict, text.map(|it| &**it), missing), out);
        };
        let message = match more {
            None => None,
            Some(tenant) => match bind_message(portal, statement, raw, &tenant) {
                Some(message) => Some(message),
                None => return self.refuse_extended(too_many_values(), out),
            },
        };
        let bound = plan.and_then(|plan| bound_value(plan.effect(), arguments));
        let tenant = self.predicted.tenant().clone();
        let bound = Arc::new(Portal::new(prepared, tenant, bound, false));
        let portal = name(portal);
        self.registry.put_portal(Side::Predicted, portal, Arc::clone(&bound));
        self.pipeline.push(Entry::Bind(portal.into(), Some(bound)));
        match message {
            None => ClientStep::Forward(permit),
            Some(message) => ClientStep::Instead(permit, message.into()),
        }
    }

    fn execute(&mut self, given: &[u8], planner: &dyn Planner, out: &mut Output) -> ClientStep {
        let Some(portal) = self.registry.portal(name(given)).cloned() else {
            return match gate::decide_unjudged(self.modes.whole()) {
                Ruling::Forward(permit) => {
                    self.group_ran = true;
                    self.pipeline.push(Entry::Execute(None));
                    ClientStep::Forward(permit)
                }
                Ruling::Refuse => self.refuse_extended(absent(Missing::Portal), out),
            };
        };
        let Some(overtaken) = self.overtaken(&portal, planner) else {
            return ClientStep::Wait;
        };
        let Judgement { mut verdict, missing } = self.court().judge_execute(&portal);
        verdict.violations.extend(overtaken);
        let text = text_of(portal.statement());
        match self.decide(text.map(|it| &**it), std::iter::once(&verdict), missing) {
            Ruling::Forward(permit) => {
                // Its effect happens at its first Execute only.
                let again = portal.is_done()
                    || self.pipeline.iter().any(
                        |entry| matches!(entry, Entry::Execute(Some(it)) if Arc::ptr_eq(it, &portal)),
                    );
                if !again {
                    self.world(Side::Predicted).ran(
                        portal.statement(),
                        portal.bound.as_ref(),
                        None,
                    );
                } else if portal.statement().plan().is_some_and(StatementPlan::may_set_tenant) {
                    self.predicted.doubt();
                }
                if !again {
                    let plan = portal.statement().plan();
                    self.apply_schema(plan.and_then(|plan| plan.schema_change()));
                }
                self.group_ran = true;
                self.begin_copy(portal.statement());
                self.pipeline.push(Entry::Execute(Some(portal)));
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                if let Some(plan) = portal.statement().plan() {
                    tell(plan.kind(), &verdict, text, (&self.modes, Decision::Refuse), out);
                }
                self.refuse_extended(refusal(&verdict, text.map(|it| &**it), missing), out)
            }
        }
    }

    fn function_call(&mut self, out: &mut Output) -> ClientStep {
        let verdict = Verdict::refused(Violation {
            rule: Rule::OpaqueSql,
            table: None,
            span: Span::default(),
            detail: "the FunctionCall message runs a function beside SQL".into(),
            hint: "call the function in a SELECT".into(),
        });
        let ruling = gate::decide(&self.modes, None, std::iter::once(&verdict));
        let told = ruling.decision();
        tell(Kind::NotUnderstood, &verdict, None, (&self.modes, told), out);
        match ruling {
            Ruling::Forward(permit) => {
                self.pipeline.push(Entry::FunctionCall);
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => self.refuse_query(refusal(&verdict, None, None), out),
        }
    }

    pub(super) fn decide<'a>(
        &self,
        text: Option<&Planned>,
        verdicts: impl Iterator<Item = &'a Verdict>,
        missing: Option<Missing>,
    ) -> Ruling {
        match gate::decide(&self.modes, text, verdicts) {
            Ruling::Forward(_) if missing.is_some() => gate::decide_unjudged(self.modes.whole()),
            ruling @ (Ruling::Forward(_) | Ruling::Refuse) => ruling,
        }
    }

    /// Refuses a message of the extended protocol: what follows is skipped to Sync.
    #[cold]
    fn refuse_extended(&mut self, refusal: Refusal, out: &mut Output) -> ClientStep {
        self.skipping = true;
        if self.predicted.in_block() || self.group_ran {
            self.pipeline.push(Entry::FailingParse(Box::new(refusal)));
            return ClientStep::Instead(gate::substitute(), FAILING_PARSE.into());
        }
        if self.pipeline.is_empty() {
            refusal.error_response(&mut out.to_client);
        } else {
            self.pipeline.push(Entry::Refused(Box::new(refusal)));
        }
        ClientStep::Drop
    }
}

const fn forward(ruling: Ruling) -> ClientStep {
    match ruling {
        Ruling::Forward(permit) => ClientStep::Forward(permit),
        Ruling::Refuse => ClientStep::End,
    }
}
