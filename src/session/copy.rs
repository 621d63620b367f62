//! COPY FROM into a guarded table: its rows are judged as they stream. A row that may not be written
//! makes the server fail the COPY, and nothing of it is kept.

use std::sync::Arc;

use super::pipeline::Entry;
use super::planned::Planned;
use super::refusal::{REFUSED_COPY, Refusal};
use super::registry::StatementRef;
use super::report::{tell, text_of};
use super::tenant::Setting;
use super::{ClientStep, Output, Session, gate};
use crate::analyze::{CopyReader, Kind, RowRefused, Rule, StatementPlan, Verdict, Violation};

/// The COPY whose rows are being judged.
#[derive(Debug)]
pub(super) struct Copying {
    reader: CopyReader,
    text: Option<Arc<Planned>>,
}

impl Session {
    /// A statement is on its way: if it copies into a guarded table, data will follow.
    pub(super) fn begin_copy(&mut self, statement: &StatementRef) {
        let Some(copy) = statement.plan().and_then(StatementPlan::copy) else {
            return;
        };
        let text = text_of(statement).cloned();
        let court = self.court_of(text.as_deref());
        // In audit it passes without a tenant too, and was counted.
        if let Setting::Known(tenant) = court.own_tenant() {
            let reader = CopyReader::new(Arc::clone(copy), tenant.clone());
            self.copy = Some(Box::new(Copying { reader, text }));
        }
    }

    /// Whether the data of COPY is to be given to [`Self::copy_data`].
    #[must_use]
    pub const fn judges_copy(&self) -> bool {
        self.copy.is_some() || self.copy_refused.is_some()
    }

    /// Takes a piece of COPY data, without the headers of its messages.
    pub fn copy_data(&mut self, bytes: &[u8], out: &mut Output) -> ClientStep {
        if self.copy_refused.is_some() {
            return ClientStep::Drop;
        }
        let taken = self.copy.as_mut().map(|copying| copying.reader.take(bytes));
        match taken {
            Some(Err(refused)) => self.refuse_row(refused, out),
            Some(Ok(())) | None => ClientStep::Forward(gate::substitute()),
        }
    }

    /// The client says that no more data comes; `None` if there is nothing against it.
    pub(super) fn end_copy(&mut self, out: &mut Output) -> Option<ClientStep> {
        if self.copy_refused.is_some() {
            return Some(ClientStep::Drop);
        }
        let finished = self.copy.as_mut().map(|copying| copying.reader.finish());
        if let Some(Err(refused)) = finished
            && let step @ ClientStep::Instead(..) = self.refuse_row(refused, out)
        {
            return Some(step);
        }
        self.copy = None;
        None
    }

    fn refuse_row(&mut self, refused: RowRefused, out: &mut Output) -> ClientStep {
        let Some(copying) = self.copy.take() else {
            return ClientStep::Drop;
        };
        let violation = copying.reader.plan().violation(refused);
        let verdict = Verdict::refused(violation);
        let text = copying.text.as_ref();
        let ruling = gate::decide(&self.modes, text.map(|it| &**it), std::iter::once(&verdict));
        tell(Kind::Copy, &verdict, text, (&self.modes, ruling.decision()), out);
        match ruling {
            gate::Ruling::Forward(permit) => ClientStep::Forward(permit),
            gate::Ruling::Refuse => {
                let refusal = Refusal::of(&verdict, copying.text.as_deref());
                self.copy_refused = refusal.map(Box::new);
                self.copy_in = false;
                if !self.pipeline.is_empty() {
                    self.pipeline.push(Entry::CopyEnd);
                }
                ClientStep::Instead(gate::substitute(), REFUSED_COPY.into())
            }
        }
    }
}

/// The data of several statements of one string cannot be told apart before the server answers.
pub(super) fn not_alone(statement: &StatementPlan) -> Option<Violation> {
    statement.copy().map(|_| Violation {
        rule: Rule::GuardedCopy,
        table: None,
        span: statement.span(),
        detail: "COPY into a guarded table beside other statements of one string".into(),
        hint: "send it in a message of its own".into(),
    })
}
