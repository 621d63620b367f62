//! Rewrite mode: what is sent in place of a text that lacks proofs.

use std::sync::Arc;

use super::client::judge_parse;
use super::gate;
use super::judge::Court;
use super::message::RawBind;
use super::mode::Mode;
use super::planned::{Planned, Planner};
use super::refusal::Refusal;
use super::registry::{Injected, Prepared, Replacement, Sent};
use super::report::text_of;
use super::{Event, Output, Session};
use crate::analyze::{Effect, Rule, Verdict, Violation};
use crate::rewrite::{Fill, Operand, Rewrite, tenant_text};
use crate::sql::Span;
use crate::tenant::Tenant;

/// What may be sent instead of a text.
#[derive(Debug)]
pub(super) enum Replaced {
    /// Nothing else.
    No,
    /// This.
    Yes(Arc<Replacement>),
}

impl Session {
    /// What may be sent instead of a simple query string whose statements have these tenants.
    pub(super) fn replaced_query(
        &self,
        planned: &Arc<Planned>,
        tenants: &[Option<Tenant>],
        planner: &dyn Planner,
    ) -> Replaced {
        let Some(rewrite) = self.rewrite_of(planned) else {
            return Replaced::No;
        };
        let nobody = Operand::Parameter(0);
        let mut fills = Vec::with_capacity(tenants.len());
        for (tenant, execute) in tenants.iter().zip(self.executed_with_more(planned, rewrite)) {
            let tenant = tenant.as_ref().map_or(nobody, Operand::Literal);
            fills.push(Fill { tenant, execute });
        }
        let lacks_tenant = |(at, fill): (usize, &Fill<'_>)| {
            fill.tenant == nobody && (rewrite.needs_tenant(at) || fill.execute)
        };
        if fills.iter().enumerate().any(lacks_tenant) {
            return Replaced::No;
        }
        self.replaced(planned, rewrite, &fills, Injected::Nothing, planner)
    }

    /// What may be sent instead of the text of a Parse that declares so many parameters.
    pub(super) fn replaced_parse(
        &self,
        planned: &Arc<Planned>,
        declared: usize,
        planner: &dyn Planner,
    ) -> Replaced {
        let Some(rewrite) = self.rewrite_of(planned) else {
            return Replaced::No;
        };
        let court = self.court_of(Some(planned));
        let execute: Vec<bool> = self.executed_with_more(planned, rewrite).collect();
        let needed = (0..execute.len()).any(|at| rewrite.needs_tenant(at));
        let more = execute.iter().any(|more| *more);
        let (tenant, injected) = if more || (needed && rewrite.is_literal()) {
            let Some(tenant) = court.known() else {
                return Replaced::No;
            };
            (Operand::Literal(tenant), Injected::Constant(tenant.clone()))
        } else if needed {
            let Some(number) = rewrite.next_parameter(declared) else {
                return Replaced::No;
            };
            (Operand::Parameter(number), Injected::Parameter(number))
        } else {
            (Operand::Parameter(0), Injected::Nothing)
        };
        let fills: Vec<Fill<'_>> =
            execute.into_iter().map(|execute| Fill { tenant, execute }).collect();
        self.replaced(planned, rewrite, &fills, injected, planner)
    }

    fn rewrite_of<'p>(&self, planned: &'p Planned) -> Option<&'p Rewrite> {
        match self.rules.mode {
            Mode::Rewrite => planned.rewrite().filter(|_| !self.lets_pass(planned)),
            Mode::Audit | Mode::Enforce => None,
        }
    }

    /// Whether what a text violates is audited or exempt: it is sent as it is then.
    fn lets_pass(&self, planned: &Planned) -> bool {
        let (_, verdict) = judge_parse(planned);
        let mut violations = verdict.violations.iter();
        !verdict.holds()
            && violations
                .all(|it| !gate::refuses(self.modes.judge(it, planned.fingerprint()).deciding()))
    }

    /// For each statement, whether it executes one that was prepared with a parameter more, by
    /// this text or before.
    fn executed_with_more(
        &self,
        planned: &Planned,
        rewrite: &Rewrite,
    ) -> impl Iterator<Item = bool> {
        let mut here: Vec<(&str, bool)> = Vec::new();
        let statements = planned.plan().statements();
        let mut more = Vec::with_capacity(statements.len());
        for (at, statement) in statements.iter().enumerate() {
            let mut one = false;
            if let Effect::Prepare { name, .. } = statement.effect() {
                here.push((name, rewrite.prepared(at).is_some()));
            }
            if let Effect::Execute { name, .. } = statement.effect() {
                let before = || {
                    let prepared = self.registry.statement(name.as_bytes());
                    prepared.is_some_and(|prepared| prepared.injected.is_some())
                };
                let found = here.iter().rev().find(|(own, _)| *own == &**name);
                one = found.map_or_else(before, |(_, more)| *more);
            }
            more.push(one);
        }
        more.into_iter()
    }

    fn replaced(
        &self,
        planned: &Arc<Planned>,
        rewrite: &Rewrite,
        fills: &[Fill<'_>],
        injected: Injected,
        planner: &dyn Planner,
    ) -> Replaced {
        if !rewrite.has_edits() && !fills.iter().any(|fill| fill.execute) {
            return Replaced::No;
        }
        let Some(spliced) = rewrite.splice(planned.text(), fills) else {
            return Replaced::No;
        };
        // The text that it comes from has been planned just now, so nothing is waited for.
        let sent = planner.plan_now(&spliced.text, &self.overlay);
        if sent.plan().statements().len() != planned.plan().statements().len() {
            return Replaced::No;
        }
        Replaced::Yes(Arc::new(Replacement {
            own: Arc::clone(planned),
            sent,
            map: spliced.map,
            injected,
        }))
    }

    /// The tenant as one value more than a client binds, for a prepared statement that has such a
    /// parameter.
    pub(super) fn one_more(
        &self,
        prepared: &Prepared,
        values: usize,
    ) -> Result<Option<Tenant>, Box<Refusal>> {
        let Some(number) = prepared.injected else {
            return Ok(None);
        };
        let wanted = usize::from(number).saturating_sub(1);
        if values != wanted {
            // What the server says, with the number that the client knows.
            let message = format!(
                "bind message supplies {values} parameters, but prepared statement requires {wanted}"
            );
            return Err(Box::new(Refusal::plain("08P01", message)));
        }
        // Judged without the value where there is none, so refused.
        let text = text_of(&prepared.statement);
        Ok(self.court_of(text.map(|text| &**text)).known().cloned())
    }

    /// Tells what was put into a text, or would be.
    pub(super) fn tell_rewritten(&self, replacement: &Replacement, out: &mut Output) {
        let own = &replacement.own;
        for injection in own.rewrite().into_iter().flat_map(Rewrite::injections) {
            out.events.push(Event::Rewritten {
                text: Arc::clone(own),
                injection: injection.clone(),
                sent: !self.rules.dry_run,
            });
        }
    }
}

/// A statement with a tenant's constant in it is that tenant's alone.
pub(super) fn judge_constant(court: &Court<'_>, prepared: &Prepared, verdict: &mut Verdict) {
    let Some(replacement) = prepared.statement.replacement() else {
        return;
    };
    let Injected::Constant(tenant) = &replacement.injected else {
        return;
    };
    if court.known() != Some(tenant) {
        verdict.violations.push(Violation {
            rule: Rule::ForeignTenant,
            table: None,
            span: Span::default(),
            detail: "the statement was prepared under another tenant".into(),
            hint: "prepare it again under the session's tenant".into(),
        });
    }
}

impl Replacement {
    /// A verdict on what was sent, with the places of the client's own text.
    pub(super) fn translate(&self, mut verdict: Verdict) -> Verdict {
        for violation in &mut verdict.violations {
            violation.span = self.map.original_span(violation.span);
        }
        for advice in &mut verdict.advice {
            advice.span = self.map.original_span(advice.span);
        }
        verdict
    }

    /// The position in the client's own text of one in what was sent.
    pub(super) fn position(&self, position: usize) -> usize {
        self.map.original(position, self.sent.text(), self.own.text())
    }
}

impl Sent {
    /// The same text, with another plan of it.
    pub(super) fn renewed(&self, sent: Arc<Planned>) -> Self {
        match self {
            Self::Own(_) => Self::Own(sent),
            Self::Instead(old) => Self::Instead(Arc::new(Replacement {
                own: Arc::clone(&old.own),
                sent,
                map: old.map.clone(),
                injected: old.injected.clone(),
            })),
        }
    }

    /// What replaced the client's text.
    pub(super) const fn replacement(&self) -> Option<&Arc<Replacement>> {
        match self {
            Self::Own(_) => None,
            Self::Instead(replacement) => Some(replacement),
        }
    }

    /// The client's own text.
    pub(super) fn own(&self) -> &Arc<Planned> {
        match self {
            Self::Own(planned) => planned,
            Self::Instead(replacement) => &replacement.own,
        }
    }

    /// The text that was sent.
    pub(super) fn planned(&self) -> &Arc<Planned> {
        match self {
            Self::Own(planned) => planned,
            Self::Instead(replacement) => &replacement.sent,
        }
    }
}

/// A simple query.
pub(super) fn query_message(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"])
}

/// A Parse of another text, with the types that the client declared.
pub(super) fn parse_message(name: &[u8], text: &str, types: &[u32]) -> Vec<u8> {
    let count = u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes();
    let types: Vec<u8> = types.iter().flat_map(|type_oid| type_oid.to_be_bytes()).collect();
    frame(b'P', &[name, b"\0", text.as_bytes(), b"\0", &count, &types])
}

/// A Bind with the tenant as one value more, in text form; `None` if there can be no more.
pub(super) fn bind_message(
    portal: &[u8],
    statement: &[u8],
    raw: &RawBind<'_>,
    tenant: &Tenant,
) -> Option<Vec<u8>> {
    let count = raw.count.checked_add(1)?;
    let tenant = tenant_text(tenant);
    let length = u32::try_from(tenant.len()).ok()?.to_be_bytes();
    // One code is for all values: it is written out for each, so that text can follow.
    let mut formats = match raw.formats {
        [] => Vec::new(),
        [first, second] => [*first, *second].repeat(usize::from(raw.count)),
        all => all.to_vec(),
    };
    if !raw.formats.is_empty() {
        formats.extend([0, 0]);
    }
    let format_count = if formats.is_empty() { 0 } else { count };
    let parts: [&[u8]; 10] = [
        portal,
        b"\0",
        statement,
        b"\0",
        &format_count.to_be_bytes(),
        &formats,
        &count.to_be_bytes(),
        raw.values,
        &length,
        tenant.as_bytes(),
    ];
    let mut body = parts.concat();
    body.extend_from_slice(raw.results);
    Some(frame(b'B', &[&body]))
}

/// A ParameterDescription of these types.
pub(super) fn parameters_message(types: &[u32]) -> Vec<u8> {
    let count = u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes();
    let types: Vec<u8> = types.iter().flat_map(|type_oid| type_oid.to_be_bytes()).collect();
    frame(b't', &[&count, &types])
}

/// A CommandComplete with this tag.
pub(super) fn complete_message(tag: &[u8]) -> Vec<u8> {
    frame(b'C', &[tag, b"\0"])
}

/// An ErrorResponse whose position (field `P`) is another; `None` if it has none, or cannot be read.
pub(super) fn moved_error(body: &[u8], place: &dyn Fn(usize) -> usize) -> Option<Vec<u8>> {
    let mut fields = Vec::with_capacity(body.len());
    let mut moved = false;
    let mut rest = body;
    while let Some((kind, after)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
        let end = after.iter().position(|byte| *byte == 0)?;
        let (value, more) = after.split_at_checked(end)?;
        fields.push(*kind);
        match std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) {
            Some(position) if *kind == b'P' => {
                moved = true;
                fields.extend_from_slice(place(position).to_string().as_bytes());
            }
            Some(_) | None => fields.extend_from_slice(value),
        }
        fields.push(0);
        rest = more.get(1..)?;
    }
    moved.then(|| frame(b'E', &[&fields, b"\0"]))
}

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.iter().map(|part| part.len()).fold(4, usize::saturating_add);
    let mut bytes = Vec::with_capacity(body.saturating_add(1));
    bytes.push(kind);
    bytes.extend_from_slice(&u32::try_from(body).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::TenantType;

    fn bind(formats: &[u8], values: &[u8], count: u16) -> Vec<u8> {
        let raw = RawBind { formats, count, values, results: b"\0\x01\0\x01" };
        let tenant = TenantType::Bigint.parse("7").unwrap();
        bind_message(b"p", b"s", &raw, &tenant).unwrap()
    }

    #[test]
    fn formats_are_written_out_for_one_value_more() {
        assert_eq!(
            bind(b"", b"", 0),
            b"B\0\0\0\x15p\0s\0\0\0\0\x01\0\0\0\x017\0\x01\0\x01"[..].to_vec()
        );
        let one = bind(b"\0\x01", b"\0\0\0\x01x\0\0\0\x01y", 2);
        assert_eq!(&one[9..19], b"\0\x03\0\x01\0\x01\0\0\0\x03");
        let each = bind(b"\0\0\0\x01", b"\0\0\0\x01x\0\0\0\x01y", 2);
        assert_eq!(&each[9..19], b"\0\x03\0\0\0\x01\0\0\0\x03");
        // A code for no value at all.
        let none = bind(b"\0\x01", b"", 0);
        assert_eq!(&none[9..15], b"\0\x01\0\0\0\x01");
    }

    #[test]
    fn there_are_no_more_than_65535_values() {
        let raw = RawBind { formats: b"", count: u16::MAX, values: b"", results: b"\0\0" };
        let tenant = TenantType::Bigint.parse("7").unwrap();
        assert_eq!(bind_message(b"", b"", &raw, &tenant), None);
    }

    #[test]
    fn only_the_position_of_an_error_moves() {
        let body = b"SERROR\0C42703\0Mno 12\0P12\0\0";
        let moved = moved_error(body, &|position| position - 5).unwrap();
        assert_eq!(&moved[5..], b"SERROR\0C42703\0Mno 12\0P7\0\0");
        assert_eq!(moved_error(b"SERROR\0Mx\0\0", &|position| position), None);
    }
}
