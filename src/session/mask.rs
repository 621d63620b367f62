//! What an error of the server may tell its client. A row that a tenant may not see can stand in
//! an error's text: in the DETAIL of a constraint that it violates, or in the message of a
//! conversion that fails on it.

use super::Session;
use super::mode::MaskErrors;
use super::pipeline::{Entry, QueryString};
use crate::analyze::{Kind, StatementPlan};

/// Where a text is replaced, this is said instead.
const MASKED: &[u8] = b"masked by orgguard ([guard] mask_errors)";

/// Fields that may quote rows (PostgreSQL documentation, 55.8): detail, hint, context, the internal
/// query and the position in it.
const QUOTING: [u8; 5] = *b"DHWqp";

/// Error classes whose messages quote no row (documentation, appendix A): connection, transaction
/// state, authorization, rollback, resources, object state, operator intervention, system error.
const QUIET: [&[u8]; 8] = [b"08", b"25", b"28", b"40", b"53", b"55", b"57", b"58"];

impl Session {
    /// The ErrorResponse with this body as the client may see it; `None` if it may see it as it is.
    pub(super) fn masked(&self, body: &[u8], cut: bool) -> Option<Vec<u8>> {
        let mask = self.rules.mask_errors;
        self.reads_errors().then(|| masked(body, cut, mask, self.shows_rows())).flatten()
    }

    /// Whether what the server answers now can have come upon guarded rows.
    fn shows_rows(&self) -> bool {
        match self.pipeline.head() {
            Some(Entry::Query(QueryString::Plain { shows_rows, .. })) => *shows_rows,
            Some(Entry::Query(QueryString::Any(sent, _))) => {
                sent.planned().plan().statements().iter().any(shows_rows)
            }
            Some(Entry::Bind(_, Some(portal)) | Entry::Execute(Some(portal))) => {
                portal.statement().plan().is_none_or(shows_rows)
            }
            // No row is read there.
            Some(
                Entry::Parse(..)
                | Entry::DescribeStatement(_)
                | Entry::DescribePortal
                | Entry::Close(..),
            ) => false,
            Some(
                Entry::Bind(_, None)
                | Entry::ReadBack(_)
                | Entry::Execute(None)
                | Entry::Sync
                | Entry::FunctionCall
                | Entry::CopyEnd
                | Entry::Refused(_)
                | Entry::FailingParse(_)
                | Entry::FailingQuery(_),
            )
            | None => true,
        }
    }
}

/// Whether errors of a statement can show guarded rows. A constraint may be put off to the end of a
/// transaction, and a write on an unguarded table may reach guarded ones.
pub(super) fn shows_rows(plan: &StatementPlan) -> bool {
    match plan.kind() {
        Kind::Select | Kind::Setting => plan.is_guarded(),
        Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::Transaction
        | Kind::Prepared
        | Kind::Copy
        | Kind::Utility
        | Kind::NotUnderstood => true,
    }
}

/// The ErrorResponse with this body as the client may see it; `None` if it may see it as it is.
///
/// `shows_rows` says whether the statement at hand can have come upon rows of a guarded table. A
/// body may be cut short: fields that are not whole are left out, so a body that is cut is always
/// written anew.
fn masked(body: &[u8], cut: bool, mask: MaskErrors, shows_rows: bool) -> Option<Vec<u8>> {
    let fields = Fields::read(body);
    let code = fields.get(b'C').unwrap_or_default();
    let constraint = mask != MaskErrors::Off && (code.starts_with(b"23") || code.is_empty());
    let whole = mask == MaskErrors::All && shows_rows && !fields.is_quiet(code);
    if !constraint && !whole && !cut {
        return None;
    }
    let mut out = Vec::with_capacity(body.len().saturating_add(64));
    for (kind, text) in &fields.0 {
        match kind {
            b'M' if whole => field(&mut out, *kind, MASKED),
            b'D' if constraint && !whole => field(&mut out, *kind, MASKED),
            kind if whole && QUOTING.contains(kind) => {}
            kind => field(&mut out, *kind, text),
        }
    }
    out.push(0);
    let length = u32::try_from(out.len().saturating_add(4)).unwrap_or(u32::MAX);
    let mut message = vec![b'E'];
    message.extend_from_slice(&length.to_be_bytes());
    message.append(&mut out);
    Some(message)
}

fn field(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.push(0);
}

/// The fields of an ErrorResponse in order, as far as they are whole.
struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    fn read(body: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        let mut rest = body;
        while let Some((kind, text)) = rest.split_first() {
            let Some(end) = text.iter().position(|byte| *byte == 0) else {
                break;
            };
            if *kind == 0 {
                break;
            }
            fields.push((*kind, text.get(..end).unwrap_or_default()));
            rest = text.get(end.saturating_add(1)..).unwrap_or_default();
        }
        Self(fields)
    }

    fn get(&self, wanted: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(kind, _)| *kind == wanted).map(|(_, text)| *text)
    }

    /// Whether the message surely quotes no row. An error of the class 42 that has a position is
    /// one of reading the statement, before any row; without one it may be of a conversion, as of
    /// a name to `regclass`.
    fn is_quiet(&self, code: &[u8]) -> bool {
        QUIET.iter().any(|class| code.starts_with(class))
            || (code.starts_with(b"42") && self.get(b'P').is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFLICT: &[u8] = b"SERROR\0VERROR\0C23505\0Mduplicate key value violates unique constraint \"u\"\0DKey (barcode)=(BC-B1) already exists.\0sPublic\0torg_products\0nu\0\0";
    const CONVERSION: &[u8] = b"SERROR\0C22P02\0Minvalid input syntax for type integer: \"B-turbine\"\0Wunnamed portal parameter\0\0";

    fn text(message: Option<Vec<u8>>) -> String {
        let message = message.unwrap();
        assert_eq!(
            message.len() - 1,
            u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize
        );
        assert!(message.ends_with(b"\0\0"));
        String::from_utf8_lossy(&message).into_owned()
    }

    #[test]
    fn constraint_details_are_masked_and_names_stay() {
        for mask in [MaskErrors::Constraint, MaskErrors::All] {
            let shown = text(masked(CONFLICT, false, mask, mask == MaskErrors::All));
            assert!(!shown.contains("BC-B1"), "{shown:?}");
            for kept in ["C23505\0", "torg_products\0", "nu\0", "SERROR\0"] {
                assert!(shown.contains(kept), "{kept:?} in {shown:?}");
            }
        }
        let shown = text(masked(CONFLICT, false, MaskErrors::Constraint, false));
        assert!(shown.contains("Mduplicate key") && shown.contains("Dmasked by orgguard"));
        assert_eq!(masked(CONFLICT, false, MaskErrors::Off, true), None);
    }

    #[test]
    fn messages_are_masked_where_rows_were_seen() {
        assert_eq!(masked(CONVERSION, false, MaskErrors::Constraint, true), None);
        assert_eq!(masked(CONVERSION, false, MaskErrors::All, false), None);
        let shown = text(masked(CONVERSION, false, MaskErrors::All, true));
        assert!(!shown.contains("turbine") && !shown.contains("portal"), "{shown:?}");
        assert!(shown.contains("C22P02\0Mmasked by orgguard"));
        let regclass = b"SERROR\0C42P01\0Mrelation \"b-turbine\" does not exist\0\0";
        assert!(!text(masked(regclass, false, MaskErrors::All, true)).contains("turbine"));
        let read = b"SERROR\0C42703\0Mcolumn \"x\" does not exist\0P8\0\0";
        assert_eq!(masked(read, false, MaskErrors::All, true), None);
        let serialization = b"SERROR\0C40001\0Mcould not serialize access\0\0";
        assert_eq!(masked(serialization, false, MaskErrors::All, true), None);
    }

    #[test]
    fn what_is_cut_short_is_written_anew() {
        let cut = &CONVERSION[..40];
        let shown = text(masked(cut, true, MaskErrors::Constraint, true));
        assert!(shown.contains("C22P02\0") && !shown.contains("invalid"), "{shown:?}");
        // An error whose code is not known may be of any class.
        assert!(masked(b"SERROR\0Mx\0Dy\0\0", false, MaskErrors::Constraint, false).is_some());
    }
}
