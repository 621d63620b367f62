use std::sync::Arc;

use super::gate;
use super::message::{FromServer, Status, Target};
use super::mode::Mode;
use super::pipeline::{Entry, QueryString};
use super::registry::{Portal, Side, StatementRef};
use super::replace::{complete_message, moved_error, parameters_message};
use super::report::hidden_row;
use super::{Event, Output, ServerStep, Session, schema};
use crate::analyze::{Effect, Kind, StatementPlan};
use crate::policy::SettingClass;
use crate::rewrite::is_hidden_row;

impl Session {
    /// Takes the server's next message.
    pub fn server(&mut self, message: &FromServer<'_>, out: &mut Output) -> ServerStep {
        if self.lost {
            return ServerStep::Forward;
        }
        if self.is_reading_back() {
            return self.answered(message, out);
        }
        if !self.logged_in {
            return self.login(message, out);
        }
        if let FromServer::Ready(status) = message {
            return self.ready(*status, out);
        }
        let step = match message {
            FromServer::ParseComplete => self.parse_complete(),
            FromServer::BindComplete => self.bind_complete(),
            FromServer::CloseComplete => self.close_complete(),
            FromServer::ParameterDescription(types) => {
                match self.parameter_description(types, out) {
                    Ok(ServerStep::Forward) => Ok(()),
                    Ok(other) => return other,
                    Err(reason) => Err(reason),
                }
            }
            FromServer::RowDescription | FromServer::NoData => self.described(),
            FromServer::CommandComplete(tag) => {
                let own = self.own_tag(tag);
                match (self.command_complete(tag, out), own) {
                    (Ok(()), Some(own)) => {
                        out.to_client.extend_from_slice(&complete_message(&own));
                        self.emit_due(out);
                        return ServerStep::Swallow;
                    }
                    (step, _) => step,
                }
            }
            FromServer::EmptyQuery => self.empty_query(),
            FromServer::PortalSuspended => self.portal_suspended(),
            FromServer::CopyIn => self.copy_in(),
            FromServer::Error { body, cut } => return self.error(body, *cut, out),
            FromServer::Ready(_) => Ok(()),
            FromServer::Parameter { name, value } => self.parameter(name, value),
            FromServer::CopyBoth | FromServer::NegotiateVersion | FromServer::Row(_) => {
                Err("unexpected message of the server")
            }
            FromServer::Other => Ok(()),
        };
        match step {
            Ok(()) => {
                self.emit_due(out);
                ServerStep::Forward
            }
            Err(reason) if self.lose(reason, out) => ServerStep::End,
            Err(_) => ServerStep::Forward,
        }
    }

    fn login(&mut self, message: &FromServer<'_>, out: &mut Output) -> ServerStep {
        match message {
            FromServer::Ready(status) if gate::refuses(self.rules.mode) => {
                return self.ask_at_login(*status, out);
            }
            FromServer::Ready(_) => self.log_in(),
            FromServer::Parameter { name, value } => {
                if let Err(reason) = self.parameter(name, value)
                    && self.lose(reason, out)
                {
                    return ServerStep::End;
                }
            }
            FromServer::ParseComplete
            | FromServer::BindComplete
            | FromServer::CloseComplete
            | FromServer::ParameterDescription(_)
            | FromServer::RowDescription
            | FromServer::NoData
            | FromServer::Row(_)
            | FromServer::CommandComplete(_)
            | FromServer::EmptyQuery
            | FromServer::PortalSuspended
            | FromServer::CopyIn
            | FromServer::CopyBoth
            | FromServer::Error { .. }
            | FromServer::NegotiateVersion
            | FromServer::Other => {}
        }
        ServerStep::Forward
    }

    /// Refusals that were waiting for the answers to earlier messages.
    fn emit_due(&mut self, out: &mut Output) {
        while let Some(refusal) = self.pipeline.due() {
            refusal.error_response(&mut out.to_client);
        }
    }

    fn parse_complete(&mut self) -> Result<(), &'static str> {
        match self.pipeline.pop() {
            Some(Entry::Parse(name, prepared)) => {
                self.registry.put_statement(Side::Confirmed, &name, prepared);
                Ok(())
            }
            _ => Err("ParseComplete out of turn"),
        }
    }

    fn bind_complete(&mut self) -> Result<(), &'static str> {
        match self.pipeline.pop() {
            Some(Entry::Bind(name, Some(portal))) => {
                self.registry.put_portal(Side::Confirmed, &name, portal);
                Ok(())
            }
            Some(Entry::Bind(name, None)) => {
                self.registry.remove_portal(Side::Confirmed, &name);
                Ok(())
            }
            _ => Err("BindComplete out of turn"),
        }
    }

    fn close_complete(&mut self) -> Result<(), &'static str> {
        match self.pipeline.pop() {
            Some(Entry::Close(Target::Statement, name)) => {
                self.registry.remove_statement(Side::Confirmed, &name);
                Ok(())
            }
            Some(Entry::Close(Target::Portal, name)) => {
                self.registry.remove_portal(Side::Confirmed, &name);
                Ok(())
            }
            _ => Err("CloseComplete out of turn"),
        }
    }

    /// The client is told of its own parameters alone.
    fn parameter_description(
        &mut self,
        types: &[u32],
        out: &mut Output,
    ) -> Result<ServerStep, &'static str> {
        let Some(Entry::DescribeStatement(name)) = self.pipeline.head() else {
            return Err("ParameterDescription out of turn");
        };
        self.registry.learn_types(name, types.to_vec());
        let injected = self.registry.confirmed_statement(name).and_then(|found| found.injected);
        match (injected, types.split_last()) {
            (Some(number), Some((_, own))) if usize::from(number) == types.len() => {
                out.to_client.extend_from_slice(&parameters_message(own));
                Ok(ServerStep::Swallow)
            }
            (_, _) => Ok(ServerStep::Forward),
        }
    }

    fn described(&mut self) -> Result<(), &'static str> {
        match self.pipeline.head() {
            Some(Entry::DescribeStatement(_) | Entry::DescribePortal) => {
                self.pipeline.pop();
                Ok(())
            }
            // The rows of a simple query are described unasked.
            Some(Entry::Query(..)) => Ok(()),
            _ => Err("RowDescription out of turn"),
        }
    }

    fn command_complete(&mut self, tag: &[u8], out: &mut Output) -> Result<(), &'static str> {
        self.complete(tag)?;
        // The server has committed before it says so, unless a block or more of a group follows:
        // then the group's end tells.
        if !self.confirmed.in_block() {
            self.tell_schema(out);
        }
        Ok(())
    }

    /// The tag that a client expects of a DELETE that was sent as an UPDATE.
    fn own_tag(&self, tag: &[u8]) -> Option<Vec<u8>> {
        let count = tag.strip_prefix(b"UPDATE ").filter(|_| self.rules.mode == Mode::Rewrite)?;
        let head = self.pipeline.head()?;
        let ran = if let Entry::Query(QueryString::Any(sent, done)) = head {
            StatementRef::Nth(sent.clone(), *done)
        } else if let Entry::Execute(Some(portal)) = head {
            portal.statement().clone()
        } else {
            return None;
        };
        let prepared = if let Effect::Execute { name, .. } = ran.own_plan()?.effect() {
            self.registry.confirmed_statement(name.as_bytes())
        } else {
            None
        };
        let own = prepared.map_or(&ran, |prepared| &prepared.statement).own_plan()?;
        (own.kind() == Kind::Delete).then(|| [b"DELETE ", count].concat())
    }

    /// The catalogue may have changed; only what is committed is seen by others.
    fn tell_schema(&self, out: &mut Output) {
        if self.schema_touched {
            out.events.push(Event::SchemaChanged);
        }
    }

    fn complete(&mut self, tag: &[u8]) -> Result<(), &'static str> {
        let (sent, at) = match self.pipeline.head_mut() {
            Some(Entry::Query(QueryString::Plain { kind, shows_rows: _, complete })) => {
                let kind = (!std::mem::replace(complete, true)).then_some(*kind);
                return self.completed(kind, tag);
            }
            Some(Entry::Query(QueryString::Any(sent, done))) => {
                let at = *done;
                *done = done.saturating_add(1);
                (sent, at)
            }
            Some(Entry::Execute(_)) => {
                if let Some(Entry::Execute(Some(portal))) = self.pipeline.pop() {
                    self.touch_schema(portal.statement().plan().map(StatementPlan::kind), tag);
                    self.executed(&portal, Some(tag));
                }
                return Ok(());
            }
            _ => return Err("CommandComplete out of turn"),
        };
        let reference = StatementRef::Nth(sent.clone(), at);
        let plan = reference.plan();
        self.completed(plan.map(StatementPlan::kind), tag)?;
        if !plan.is_some_and(|plan| self.is_unmoved_by(plan)) {
            self.world(Side::Confirmed).ran(&reference, None, Some(tag));
        }
        Ok(())
    }

    /// A statement of a query string is complete: one of this kind, if it was judged.
    fn completed(&mut self, kind: Option<Kind>, tag: &[u8]) -> Result<(), &'static str> {
        if kind.is_none() && gate::refuses(self.modes.whole()) {
            // The server found another statement in the string than the guard has judged.
            return Err("the server ran more statements than were judged");
        }
        self.touch_schema(kind, tag);
        Ok(())
    }

    fn touch_schema(&mut self, kind: Option<Kind>, tag: &[u8]) {
        // In audit the server may have found a statement more than the guard.
        let kind = kind.unwrap_or(Kind::NotUnderstood);
        self.schema_touched = self.schema_touched || schema::is_touched(kind, tag);
    }

    fn executed(&mut self, portal: &Arc<Portal>, tag: Option<&[u8]>) {
        let again = portal.finish();
        if !again {
            self.world(Side::Confirmed).ran(portal.statement(), portal.bound.as_ref(), tag);
        } else if portal.statement().plan().is_some_and(StatementPlan::may_set_tenant) {
            // Each further part of its rows calls the routine again.
            self.confirmed.doubt();
        }
    }

    fn empty_query(&mut self) -> Result<(), &'static str> {
        match self.pipeline.head() {
            Some(Entry::Query(..)) => Ok(()),
            Some(Entry::Execute(_)) => {
                self.pipeline.pop();
                Ok(())
            }
            _ => Err("EmptyQueryResponse out of turn"),
        }
    }

    fn portal_suspended(&mut self) -> Result<(), &'static str> {
        match self.pipeline.pop() {
            Some(Entry::Execute(portal)) => {
                // Its first row has been computed, and set_config(…) with it.
                if let Some(portal) = portal {
                    self.executed(&portal, None);
                }
                Ok(())
            }
            _ => Err("PortalSuspended out of turn"),
        }
    }

    fn copy_in(&mut self) -> Result<(), &'static str> {
        match self.pipeline.head() {
            Some(Entry::Query(..)) => {
                let ended = self.pipeline.iter().any(|entry| matches!(entry, Entry::CopyEnd));
                self.copy_in = !ended;
                Ok(())
            }
            Some(Entry::Execute(_)) => {
                self.copy_in = !self.pipeline.swallow_syncs();
                Ok(())
            }
            _ => Err("CopyInResponse out of turn"),
        }
    }

    fn error(&mut self, body: &[u8], cut: bool, out: &mut Output) -> ServerStep {
        self.copy_in = false;
        self.confirmed.fail();
        match self.pipeline.head() {
            Some(Entry::FailingParse(refusal)) => {
                refusal.error_response(&mut out.to_client);
                self.pipeline.pop();
                ServerStep::Swallow
            }
            Some(Entry::FailingQuery(refusal)) => {
                refusal.error_response(&mut out.to_client);
                ServerStep::Swallow
            }
            _ if self.rules.mode == Mode::Rewrite && is_hidden_row(body) => {
                self.skipping = self.pipeline.skip() || self.skipping;
                self.copy = None;
                hidden_row().error_response(&mut out.to_client);
                ServerStep::Swallow
            }
            head => {
                let shown = self.masked(body, cut);
                let fields = shown.as_ref().and_then(|message| message.get(5..)).unwrap_or(body);
                let moved = head.and_then(Entry::replacement).and_then(|replacement| {
                    moved_error(fields, &|position| replacement.position(position))
                });
                // What the client sends up to Sync is skipped by the server, and has no answer.
                self.skipping = self.pipeline.skip() || self.skipping;
                self.copy = None;
                let refused = self.copy_refused.take().map(|refusal| {
                    let mut bytes = Vec::new();
                    refusal.error_response(&mut bytes);
                    bytes
                });
                match refused.or(moved).or(shown) {
                    Some(instead) => {
                        out.to_client.extend_from_slice(&instead);
                        ServerStep::Swallow
                    }
                    None => ServerStep::Forward,
                }
            }
        }
    }

    fn ready(&mut self, status: Status, out: &mut Output) -> ServerStep {
        let head = self.pipeline.pop();
        if !head.is_some_and(|head| head.ends_group()) {
            let lost = self.lose("ReadyForQuery out of turn", out);
            return if lost { ServerStep::End } else { ServerStep::Forward };
        }
        self.copy_in = false;
        self.copy_refused = None;
        self.groups = self.groups.wrapping_add(1);
        self.confirmed.ready(status);
        if status == Status::Idle {
            self.tell_schema(out);
            self.schema_touched = false;
            self.registry.end_transaction();
            self.overlay.end_transaction();
        }
        if let Some(step) = self.ask_for_tenant(status, out) {
            return step;
        }
        self.settle_predictions();
        self.emit_due(out);
        ServerStep::Forward
    }

    /// What is confirmed is all there is, but for what is still outstanding.
    pub(super) fn settle_predictions(&mut self) {
        self.predicted.follow(&mut self.confirmed);
        self.registry.forget_predictions();
        if !self.pipeline.is_empty() {
            self.predict_outstanding();
        }
    }

    /// Makes the predictions again from what is still outstanding (audit only: elsewhere a group
    /// waits for the one before it).
    fn predict_outstanding(&mut self) {
        let entries = std::mem::take(&mut self.pipeline);
        for entry in entries.iter() {
            match entry {
                Entry::Parse(name, prepared) => {
                    self.registry.put_statement(Side::Predicted, name, Arc::clone(prepared));
                }
                Entry::Bind(name, Some(portal)) => {
                    self.registry.put_portal(Side::Predicted, name, Arc::clone(portal));
                }
                Entry::Close(Target::Statement, name) => {
                    self.registry.remove_statement(Side::Predicted, name);
                }
                Entry::Bind(name, None) | Entry::Close(Target::Portal, name) => {
                    self.registry.remove_portal(Side::Predicted, name);
                }
                Entry::Execute(Some(portal)) => {
                    if !portal.is_done() {
                        let bound = portal.bound.as_ref();
                        self.world(Side::Predicted).ran(portal.statement(), bound, None);
                    }
                }
                Entry::Query(QueryString::Plain { .. }) => self.predicted.assume_ready(),
                Entry::Query(QueryString::Any(sent, done)) => {
                    for at in *done..sent.planned().plan().statements().len() {
                        let reference = StatementRef::Nth(sent.clone(), at);
                        self.world(Side::Predicted).ran(&reference, None, None);
                    }
                    self.predicted.assume_ready();
                }
                Entry::Sync => self.predicted.assume_ready(),
                Entry::Execute(None)
                | Entry::DescribeStatement(_)
                | Entry::DescribePortal
                | Entry::FunctionCall
                | Entry::CopyEnd
                | Entry::Refused(_)
                | Entry::FailingParse(_)
                | Entry::FailingQuery(_)
                | Entry::ReadBack(_) => {}
            }
        }
        self.pipeline = entries;
    }

    /// The server tells the value of a setting. The reader relies on some of them.
    pub(super) fn parameter(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let holds = match name {
            b"standard_conforming_strings" => value.eq_ignore_ascii_case(b"on"),
            b"client_encoding" => value.eq_ignore_ascii_case(b"UTF8"),
            // Told by 18 and later; what it is at login is read back anyway.
            b"search_path" if self.logged_in => std::str::from_utf8(value).is_ok_and(|value| {
                self.rules.settings.class("search_path", &[value]) == SettingClass::PinnedHolds
            }),
            _ => return Ok(()),
        };
        if holds || !gate::refuses(self.rules.mode) {
            return Ok(());
        }
        Err("a setting that the guard relies on has another value")
    }
}
