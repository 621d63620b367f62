//! A simple query string: judged whole, sent whole or not at all.

use std::sync::Arc;

use smallvec::SmallVec;

use super::copy::not_alone;
use super::gate::{self, Ruling};
use super::judge::Missing;
use super::message::Status;
use super::mode::{Mode, Rebinding};
use super::pipeline::{Entry, QueryString};
use super::planned::{Planned, Planner};
use super::refusal::{FAILING_QUERY, Refusal, ready};
use super::registry::{Sent, Side, StatementRef};
use super::replace::{Replaced, query_message};
use super::report::{refusal, tell, tell_replaced};
use super::{ClientStep, Output, Session, mask};
use crate::analyze::{Arguments, Kind, StatementPlan, Verdict};
use crate::tenant::Tenant;

/// The verdicts on a simple query string.
#[derive(Debug, Default)]
struct JudgedString {
    statements: SmallVec<[(Kind, Verdict); 1]>,
    missing: Option<Missing>,
    /// The tenant under which each statement runs, in rewrite mode.
    tenants: Vec<Option<Tenant>>,
}

impl JudgedString {
    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.statements.iter().map(|(_, verdict)| verdict)
    }
}

impl Session {
    pub(super) fn query(
        &mut self,
        planned: &Arc<Planned>,
        planner: &dyn Planner,
        out: &mut Output,
    ) -> ClientStep {
        for statement in planned.plan().statements() {
            self.renew_inner(statement, planner);
        }
        let own = Sent::Own(Arc::clone(planned));
        let judged = self.judge_string(&own, planner);
        match self.replaced_query(planned, &judged.tenants, planner) {
            Replaced::No => {}
            Replaced::Yes(replacement) => {
                let sent = Sent::Instead(Arc::clone(&replacement));
                let again = self.judge_string(&sent, planner);
                if let Ruling::Forward(permit) =
                    self.decide(Some(planned), again.verdicts(), again.missing)
                {
                    self.tell_rewritten(&replacement, out);
                    if !self.rules.dry_run {
                        for (kind, verdict) in &judged.statements {
                            tell_replaced(*kind, verdict, planned, out);
                        }
                        self.sent_query(sent);
                        let message = query_message(replacement.sent.text());
                        return ClientStep::Instead(permit, message.into());
                    }
                }
            }
        }
        let ruling = self.decide(Some(planned), judged.verdicts(), judged.missing);
        let told = ruling.decision();
        for (kind, verdict) in &judged.statements {
            tell(*kind, verdict, Some(planned), (&self.modes, told), out);
        }
        match ruling {
            Ruling::Forward(permit) => {
                self.sent_query(own);
                ClientStep::Forward(permit)
            }
            Ruling::Refuse => {
                let mut whole = Verdict::default();
                for (_, verdict) in judged.statements {
                    whole.violations.extend(verdict.violations);
                }
                self.refuse_query(refusal(&whole, Some(planned), judged.missing), out)
            }
        }
    }

    /// Judges the statements of a string, each after those before it. Nothing of it happens yet.
    fn judge_string(&mut self, sent: &Sent, planner: &dyn Planner) -> JudgedString {
        let statements = sent.planned().plan().statements();
        let before =
            (statements.len() > 1).then(|| (self.predicted.clone(), self.registry.predictions()));
        let mut judged = JudgedString::default();
        for (at, statement) in statements.iter().enumerate() {
            let court = self.court_of(Some(sent.own()));
            if self.rules.mode == Mode::Rewrite {
                judged.tenants.push(court.known().cloned());
            }
            let judgement = court.judge(statement, Arguments::Values(&[]));
            judged.missing = judged.missing.or(judgement.missing);
            let mut verdict = judgement.verdict;
            verdict.violations.extend(self.overtaken_cursor(statement, planner));
            if before.is_some() {
                verdict.violations.extend(not_alone(statement));
            }
            judged.statements.push((statement.kind(), verdict));
            if before.is_some() {
                self.predict(sent, at);
            }
        }
        if let Some((scope, names)) = before {
            self.predicted = scope;
            self.registry.restore(names);
        }
        judged
    }

    /// A string is on its way: what happens if its statements succeed.
    fn sent_query(&mut self, sent: Sent) {
        let statements = sent.planned().plan().statements();
        if let (Sent::Own(_), [statement]) = (&sent, statements)
            && self.is_unmoved_by(statement)
        {
            let (kind, shows_rows) = (statement.kind(), mask::shows_rows(statement));
            let plain = QueryString::Plain { kind, shows_rows, complete: false };
            self.predicted.assume_ready();
            self.pipeline.push(Entry::Query(plain));
            return;
        }
        if !statements.iter().all(|statement| self.is_unmoved_by(statement)) {
            for at in 0..statements.len() {
                self.predict(&sent, at);
            }
            for statement in statements {
                self.apply_schema(statement.schema_change());
            }
            self.begin_copy(&StatementRef::Nth(sent.clone(), 0));
        }
        self.predicted.assume_ready();
        self.pipeline.push(Entry::Query(QueryString::Any(sent, 0)));
    }

    /// Whether nothing of what the session keeps is other once it has run. Most statements are such.
    pub(super) fn is_unmoved_by(&self, statement: &StatementPlan) -> bool {
        // There the first guarded statement fixes the tenant.
        self.rules.tenant.rebinding != Rebinding::Transaction && statement.is_plain()
    }

    fn predict(&mut self, sent: &Sent, at: usize) {
        let reference = StatementRef::Nth(sent.clone(), at);
        self.world(Side::Predicted).ran(&reference, None, None);
    }

    /// Refuses a message that the server would have answered up to ReadyForQuery.
    #[cold]
    pub(super) fn refuse_query(&mut self, refusal: Refusal, out: &mut Output) -> ClientStep {
        if self.pipeline.is_empty() && !self.predicted.in_block() && !self.group_ran {
            refusal.error_response(&mut out.to_client);
            ready(&mut out.to_client, Status::Idle);
            return ClientStep::Drop;
        }
        self.pipeline.push(Entry::FailingQuery(Box::new(refusal)));
        ClientStep::Instead(gate::substitute(), FAILING_QUERY.into())
    }
}
