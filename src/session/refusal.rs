use super::message::Status;
use super::planned::Planned;
use crate::analyze::{Rule, Verdict, Violation};

/// A simple query that fails in the reader of the server, whatever the state of the session.
pub(super) const FAILING_QUERY: &[u8] = b"Q\0\0\0\x21orgguard refused a statement\0";

/// A Parse that fails in the reader of the server, so that it skips to Sync. Its name is never
/// used: the text fails before the server looks at it, and the client's own unnamed statement
/// stays.
pub(super) const FAILING_PARSE: &[u8] = b"P\0\0\0\x2corgguard\0orgguard refused a statement\0\0\0";

/// Ends a COPY FROM STDIN in which the client sent something else.
pub(super) const FAILING_COPY: &[u8] = b"f\0\0\0\x28unexpected message during COPY data\0";

/// Ends a COPY FROM STDIN with a row that may not be written.
pub(super) const REFUSED_COPY: &[u8] = b"f\0\0\0\x1borgguard refused a row\0";

/// How many violations beside the first are told.
const OTHERS: usize = 10;

/// An error in place of an answer. It names rules and relations, and no literal of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
}

impl Refusal {
    /// The refusal of a verdict's violations: SQLSTATE 42501, or 0A000 for a text that was not
    /// understood. `None` if there is no violation.
    pub(super) fn of(verdict: &Verdict, text: Option<&Planned>) -> Option<Self> {
        let (first, others) = verdict.violations.split_first()?;
        let mut detail = format!("{}: {}", label(first), first.detail);
        for other in others.iter().take(OTHERS) {
            detail.push_str(&format!("\n{}: {}", label(other), other.detail));
        }
        let more = others.len().saturating_sub(OTHERS);
        if more > 0 {
            detail.push_str(&format!("\nand {more} more"));
        }
        Some(Self {
            code: if first.rule == Rule::NotUnderstood { "0A000" } else { "42501" },
            message: format!("orgguard: statement refused: {}", label(first)),
            detail: Some(detail),
            hint: hints(&verdict.violations),
            position: text.map(|text| first.span.position(text.text())),
        })
    }

    /// A refusal that is no violation of a rule.
    pub(super) fn plain(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None, position: None }
    }

    /// Its ErrorResponse (PostgreSQL documentation, 55.8).
    pub(super) fn error_response(&self, out: &mut Vec<u8>) {
        error_response(
            out,
            "ERROR",
            self.code,
            &self.message,
            self.detail.as_deref(),
            self.hint.as_deref(),
            self.position,
        );
    }
}

fn label(violation: &Violation) -> String {
    match &violation.table {
        Some(table) => format!("{} on \"{table}\"", violation.rule.name()),
        None => violation.rule.name().to_owned(),
    }
}

/// Writes the ErrorResponse of an error that ends the connection.
pub fn fatal(out: &mut Vec<u8>, code: &str, message: &str, hint: Option<&str>) {
    error_response(out, "FATAL", code, message, None, hint, None);
}

fn error_response(
    out: &mut Vec<u8>,
    severity: &str,
    code: &str,
    message: &str,
    detail: Option<&str>,
    hint: Option<&str>,
    position: Option<usize>,
) {
    let mut body = Vec::with_capacity(256);
    let mut field = |kind: u8, value: &str| {
        body.push(kind);
        body.extend(value.bytes().filter(|byte| *byte != 0));
        body.push(0);
    };
    field(b'S', severity);
    field(b'V', severity);
    field(b'C', code);
    field(b'M', message);
    if let Some(detail) = detail {
        field(b'D', detail);
    }
    if let Some(hint) = hint {
        field(b'H', hint);
    }
    if let Some(position) = position {
        field(b'P', &position.to_string());
    }
    body.push(0);
    out.push(b'E');
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&body);
}

/// Writes a ReadyForQuery.
pub(super) fn ready(out: &mut Vec<u8>, status: Status) {
    let status = match status {
        Status::Idle => b'I',
        Status::Block => b'T',
        Status::Failed => b'E',
    };
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
}

/// What to write instead: every violation's hint, each once.
fn hints(violations: &[Violation]) -> Option<String> {
    let mut hints: Vec<&str> = Vec::new();
    for violation in violations.iter().take(OTHERS.saturating_add(1)) {
        if !violation.hint.is_empty() && !hints.contains(&&*violation.hint) {
            hints.push(&violation.hint);
        }
    }
    (!hints.is_empty()).then(|| hints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Span;

    #[test]
    fn made_messages_are_framed() {
        for message in [FAILING_QUERY, FAILING_PARSE, FAILING_COPY, REFUSED_COPY] {
            let length = u32::from_be_bytes(message[1..5].try_into().unwrap());
            assert_eq!(length as usize + 1, message.len(), "{:?}", message.first());
        }
    }

    #[test]
    fn a_refusal_names_rule_table_and_position() {
        let verdict = Verdict::refused(Violation {
            rule: Rule::UnboundTenant,
            table: Some("org_products".into()),
            span: Span { start: 15, end: 20 },
            detail: "no predicate binds it".into(),
            hint: "add a predicate".into(),
        });
        let refusal = Refusal::of(&verdict, None).unwrap();
        let mut bytes = Vec::new();
        refusal.error_response(&mut bytes);
        let text = String::from_utf8_lossy(&bytes[5..]).into_owned();
        for part in [
            "SERROR\0",
            "VERROR\0",
            "C42501\0",
            "Morgguard: statement refused: unbound-tenant on \"org_products\"\0",
            "Dunbound-tenant on \"org_products\": no predicate binds it\0",
            "Hadd a predicate\0",
        ] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
        assert_eq!(bytes[1..5], u32::to_be_bytes((bytes.len() - 1) as u32));
    }

    #[test]
    fn another_reader_of_the_protocol_agrees() {
        use pgwire::messages::response::ErrorResponse;
        use pgwire::messages::{DecodeContext, Message as _};

        let mut bytes = Vec::new();
        fatal(&mut bytes, "53300", "too many", Some("wait"));
        let mut buffer = bytes::BytesMut::from(&bytes[..]);
        let read = ErrorResponse::decode(&mut buffer, &DecodeContext::default());
        let fields = read.unwrap().unwrap().fields;
        let expected =
            [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "53300"), (b'M', "too many"), (b'H', "wait")];
        assert_eq!(fields, expected.map(|(kind, text)| (kind, text.to_owned())));
        assert!(buffer.is_empty());
    }
}
