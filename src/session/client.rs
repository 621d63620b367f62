use std::sync::Arc;

use super::gate::{self, Ruling};
use super::judge::{Judgement, Missing, bound_value};
use super::message::{FromClient, Status, Target};
use super::mode::Decision;
use super::pipeline::Entry;
use super::planned::{Planned, Planner};
use super::refusal::{FAILING_COPY, FAILING_PARSE, FAILING_QUERY, Refusal, ready};
use super::registry::{Portal, Prepared, Side, StatementRef, name};
use super::report::{absent, refusal, several, tell, text_of, too_many};
use super::{ClientStep, Output, Session, Span};
use crate::analyze::{
    Argument, Arguments, Form, Kind, Rule, SessionTenant, StatementPlan, Verdict, Violation,
};

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
            FromClient::Query(text) => match planner.plan_bytes(text) {
                Some(planned) => self.query(&planned, out),
                None => ClientStep::Wait,
            },
            FromClient::Parse { name, text, types } => match planner.plan_bytes(text) {
                Some(planned) => self.parse(name, &planned, types, out),
                None => ClientStep::Wait,
            },
            FromClient::Bind { portal, statement, values } => {
                let Some(prepared) = self.current(statement, planner) else {
                    return ClientStep::Wait;
                };
                self.bind(portal, prepared, values, out)
            }
            FromClient::Execute(portal) => self.execute(portal, out),
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
            self.skipping = !matches!(self.pipeline.head(), Some(Entry::Query(..)));
            self.pipeline.push(Entry::CopyEnd);
            return Some(ClientStep::Instead(gate::substitute(), FAILING_COPY));
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
        debug_assert!(out.to_client.is_empty(), "a harmless message is not answered");
        ClientStep::Forward(permit)
    }

    fn query(&mut self, planned: &Arc<Planned>, out: &mut Output) -> ClientStep {
        let statements = planned.plan().statements();
        // Where the string is refused, nothing of it happens.
        let scope = self.predicted.clone();
        let names = (statements.len() > 1).then(|| self.registry.predictions());
        let mut judged = Vec::with_capacity(statements.len());
        let mut missing = None;
        for (at, statement) in statements.iter().enumerate() {
            let court = self.court_of(Some(planned));
            let judgement = court.judge(statement, Arguments::Values(&[]));
            missing = missing.or(judgement.missing);
            judged.push((statement.kind(), judgement.verdict));
            if names.is_some() {
                self.predict(planned, at);
            }
        }
        let ruling = self.decide(Some(planned), judged.iter().map(|(_, verdict)| verdict), missing);
        let told = ruling.decision();
        for (kind, verdict) in &judged {
            tell(*kind, verdict, Some(planned), (&self.modes, told), out);
        }
        match ruling {
            Ruling::Forward(permit) => {
                if names.is_none() {
                    self.predict(planned, 0);
                }
                self.predicted.assume_ready();
                self.pipeline.push(Entry::Query(Arc::clone(planned), 0));
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                self.predicted = scope;
                if let Some(names) = names {
                    self.registry.restore(names);
                }
                let mut whole = Verdict::default();
                for (_, verdict) in judged {
                    whole.violations.extend(verdict.violations);
                }
                self.refuse_query(refusal(&whole, Some(planned), missing), out)
            }
        }
    }

    fn predict(&mut self, planned: &Arc<Planned>, at: usize) {
        let reference = StatementRef::Nth(Arc::clone(planned), at);
        self.world(Side::Predicted).ran(&reference, None, None);
    }

    fn parse(
        &mut self,
        given: &[u8],
        planned: &Arc<Planned>,
        types: &[u32],
        out: &mut Output,
    ) -> ClientStep {
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
        if self.registry.is_full() && gate::refuses(self.rules.mode) {
            return self.refuse_extended(too_many(), out);
        }
        match gate::decide(&self.modes, Some(planned), std::iter::once(&verdict)) {
            Ruling::Forward(permit) => {
                let prepared = Arc::new(Prepared {
                    statement: StatementRef::Nth(Arc::clone(planned), 0),
                    types: types.to_vec(),
                });
                let given = name(given);
                self.registry.put_statement(Side::Predicted, given, Arc::clone(&prepared));
                self.pipeline.push(Entry::Parse(given.into(), prepared));
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                tell(kind, &verdict, Some(planned), (&self.modes, Decision::Refuse), out);
                self.refuse_extended(refusal(&verdict, Some(planned), None), out)
            }
        }
    }

    /// The prepared statement of a name, planned anew if the policy has changed since its Parse;
    /// the outer `None` if the new plan is still to come.
    fn current(&self, given: &[u8], planner: &dyn Planner) -> Option<Option<Arc<Prepared>>> {
        let Some(prepared) = self.registry.statement(name(given)) else {
            return Some(None);
        };
        match &prepared.statement {
            StatementRef::Nth(planned, at) if !planner.is_current(planned) => {
                let statement = StatementRef::Nth(planner.plan(planned.text())?, *at);
                Some(Some(Arc::new(Prepared { statement, types: prepared.types.clone() })))
            }
            StatementRef::Nth(..) | StatementRef::Inner(_) => Some(Some(Arc::clone(prepared))),
        }
    }

    fn bind(
        &mut self,
        portal: &[u8],
        prepared: Option<Arc<Prepared>>,
        values: &[Form<'_>],
        out: &mut Output,
    ) -> ClientStep {
        let portal = name(portal);
        let Some(prepared) = prepared else {
            return match gate::decide_unjudged(self.modes.whole()) {
                Ruling::Forward(permit) => {
                    self.pipeline.push(Entry::Bind(portal.into(), None));
                    ClientStep::Forward(permit)
                }
                Ruling::Refuse => self.refuse_extended(absent(Missing::Statement), out),
            };
        };
        if self.registry.is_full() && gate::refuses(self.rules.mode) {
            return self.refuse_extended(too_many(), out);
        }
        let types = prepared.types.iter().copied().chain(std::iter::repeat(0));
        let arguments: Vec<Argument<'_>> = values
            .iter()
            .zip(types)
            .map(|(form, type_oid)| Argument { type_oid, form: *form })
            .collect();
        let arguments = Arguments::Values(&arguments);
        let plan = prepared.statement.plan();
        let text = text_of(&prepared.statement);
        let court = self.court_of(text.map(|text| &**text));
        let judgement = plan.map_or_else(Judgement::default, |plan| court.judge(plan, arguments));
        let Judgement { verdict, missing } = judgement;
        let ruling = self.decide(text.map(|it| &**it), std::iter::once(&verdict), missing);
        if let Some(plan) = plan {
            let told = ruling.decision();
            tell(plan.kind(), &verdict, text, (&self.modes, told), out);
        }
        match ruling {
            Ruling::Forward(permit) => {
                let bound = plan.and_then(|plan| bound_value(plan.effect(), arguments));
                let tenant = self.predicted.tenant().clone();
                let bound = Portal::new(prepared.statement.clone(), tenant, bound, false);
                let bound = Arc::new(bound);
                self.registry.put_portal(Side::Predicted, portal, Arc::clone(&bound));
                self.pipeline.push(Entry::Bind(portal.into(), Some(bound)));
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                self.refuse_extended(refusal(&verdict, text.map(|it| &**it), missing), out)
            }
        }
    }

    fn execute(&mut self, given: &[u8], out: &mut Output) -> ClientStep {
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
        let Judgement { verdict, missing } = self.court().judge_execute(&portal);
        let text = text_of(&portal.statement);
        match self.decide(text.map(|it| &**it), std::iter::once(&verdict), missing) {
            Ruling::Forward(permit) => {
                // Its effect happens at its first Execute only.
                let again = portal.is_done()
                    || self.pipeline.iter().any(
                        |entry| matches!(entry, Entry::Execute(Some(it)) if Arc::ptr_eq(it, &portal)),
                    );
                if !again {
                    self.world(Side::Predicted).ran(&portal.statement, portal.bound.as_ref(), None);
                } else if portal.statement.plan().is_some_and(StatementPlan::may_set_tenant) {
                    self.predicted.doubt();
                }
                self.group_ran = true;
                self.pipeline.push(Entry::Execute(Some(portal)));
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                if let Some(plan) = portal.statement.plan() {
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

    fn decide<'a>(
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

    /// Refuses a message that the server would have answered up to ReadyForQuery.
    fn refuse_query(&mut self, refusal: Refusal, out: &mut Output) -> ClientStep {
        if self.pipeline.is_empty() && !self.predicted.in_block() && !self.group_ran {
            refusal.error_response(&mut out.to_client);
            ready(&mut out.to_client, Status::Idle);
            return ClientStep::Drop;
        }
        self.pipeline.push(Entry::FailingQuery(Box::new(refusal)));
        ClientStep::Instead(gate::substitute(), FAILING_QUERY)
    }

    /// Refuses a message of the extended protocol: what follows is skipped to Sync.
    fn refuse_extended(&mut self, refusal: Refusal, out: &mut Output) -> ClientStep {
        self.skipping = true;
        if self.predicted.in_block() || self.group_ran {
            self.pipeline.push(Entry::FailingParse(Box::new(refusal)));
            return ClientStep::Instead(gate::substitute(), FAILING_PARSE);
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
