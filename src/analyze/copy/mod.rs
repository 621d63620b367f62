//! COPY table FROM STDIN into a guarded table: its rows are read as they stream, and each is held
//! against the session's tenant. Rows are split and unescaped as the server does it
//! (`copyfromparse.c`); what the server might read in another way is refused.

mod binary;
mod options;
mod text;

use std::sync::Arc;

use super::plan::SessionTenant;
use super::verdict::{Rule, Violation};
use crate::policy::Policy;
use crate::sql::{CopyFrom, Span};
use crate::tenant::{Tenant, TenantType, Uuid};
use options::Format;

/// How the rows of one COPY are read.
#[derive(Debug)]
pub struct CopyPlan {
    table: Box<str>,
    span: Span,
    tenant_column: Box<str>,
    tenant_type: TenantType,
    /// Fields of a row.
    columns: usize,
    tenant_at: usize,
    /// The soft-delete column, if it is among them.
    deleted_at: Option<usize>,
    format: Format,
    row_bytes: usize,
}

/// A row that may not be written, or that could not be read with certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowRefused {
    /// Its tenant is not the session's.
    Foreign,
    /// It is deleted already.
    Deleted,
    /// It is not what the column list and the options say, or the server may read it otherwise.
    Unread(&'static str),
}

/// One field of a row, unescaped; `None` is NULL.
type Field = Option<Vec<u8>>;

impl CopyPlan {
    /// The plan of a COPY; `None` if its table is not guarded.
    pub(super) fn of(copy: &CopyFrom, policy: &Policy) -> Result<Option<Self>, Violation> {
        let CopyFrom { table, columns, options } = copy;
        let Some(guard) = policy.tables.guard(&table.text).filter(|_| policy.copy_from) else {
            return Ok(None);
        };
        let refused = |rule: Rule, detail: &str, hint: &str| Violation {
            rule,
            table: Some(table.text.clone()),
            span: table.span,
            detail: detail.into(),
            hint: hint.into(),
        };
        let place = |column: &str| columns.iter().position(|own| *own.text == *column);
        let Some(tenant_at) = place(guard.tenant_column) else {
            return Err(refused(
                Rule::ForeignInsert,
                "the column list of COPY does not name the tenant column",
                "write COPY table (columns) with the tenant column among them",
            ));
        };
        let format = options::read(options).map_err(|reason| {
            refused(
                Rule::GuardedCopy,
                reason,
                "use FORMAT, DELIMITER, NULL, HEADER, QUOTE and ESCAPE, and UTF8",
            )
        })?;
        Ok(Some(Self {
            table: table.text.clone(),
            span: table.span,
            tenant_column: guard.tenant_column.into(),
            tenant_type: policy.tenant_type,
            columns: columns.len(),
            tenant_at,
            deleted_at: guard.soft_delete_column.and_then(place),
            format,
            row_bytes: policy.limits.copy_row_bytes,
        }))
    }

    /// What is wrong before a row has come: there must be a tenant to hold them against.
    pub(super) fn settle(&self, tenant: SessionTenant<'_>) -> Option<Violation> {
        match tenant {
            SessionTenant::Known(_) => None,
            SessionTenant::Required | SessionTenant::Any => Some(Violation {
                rule: Rule::GuardedCopy,
                table: Some(self.table.clone()),
                span: self.span,
                detail: "the session has no tenant to hold the rows against".into(),
                hint: "set the session's tenant first".into(),
            }),
        }
    }

    /// The violation of a row.
    #[must_use]
    pub fn violation(&self, refused: RowRefused) -> Violation {
        let column = &self.tenant_column;
        let (rule, detail): (_, Box<str>) = match refused {
            RowRefused::Foreign => (
                Rule::ForeignInsert,
                format!("a row of COPY has a {column:?} that is not the session's tenant").into(),
            ),
            RowRefused::Deleted => {
                (Rule::GuardedCopy, "a row of COPY is marked as deleted already".into())
            }
            RowRefused::Unread(reason) => (Rule::GuardedCopy, reason.into()),
        };
        Violation {
            rule,
            table: Some(self.table.clone()),
            span: self.span,
            detail,
            hint: "give every row the session's tenant, and none that is deleted".into(),
        }
    }

    /// Whether a row may be written.
    fn judge(&self, fields: &[Field], tenant: &Tenant) -> Result<(), RowRefused> {
        if fields.len() != self.columns {
            return Err(RowRefused::Unread("a row has not as many fields as COPY has columns"));
        }
        if let Some(at) = self.deleted_at
            && !matches!(fields.get(at), Some(None))
        {
            return Err(RowRefused::Deleted);
        }
        let Some(Some(value)) = fields.get(self.tenant_at) else {
            return Err(RowRefused::Foreign);
        };
        let own = match self.format {
            Format::Text(_) | Format::Csv(_) => {
                std::str::from_utf8(value).ok().and_then(|text| self.tenant_type.parse(text))
            }
            Format::Binary => binary_value(value, self.tenant_type),
        };
        if own.as_ref() == Some(tenant) { Ok(()) } else { Err(RowRefused::Foreign) }
    }
}

/// A value in the binary form of the tenant column's type (bigint, or a smaller integer).
fn binary_value(bytes: &[u8], tenant_type: TenantType) -> Option<Tenant> {
    match tenant_type {
        TenantType::Uuid => {
            bytes.try_into().ok().map(|bytes| Tenant::Uuid(Uuid::from_bytes(bytes)))
        }
        TenantType::Text => std::str::from_utf8(bytes).ok().map(|it| Tenant::Text(it.into())),
        TenantType::Bigint => {
            let eight = bytes.try_into().ok().map(i64::from_be_bytes);
            let four = bytes.try_into().ok().map(|it| i64::from(i32::from_be_bytes(it)));
            let two = bytes.try_into().ok().map(|it| i64::from(i16::from_be_bytes(it)));
            eight.or(four).or(two).map(Tenant::Bigint)
        }
    }
}

/// Reads the rows of one COPY as their bytes come.
#[derive(Debug)]
pub struct CopyReader {
    plan: Arc<CopyPlan>,
    tenant: Tenant,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Text(text::Lines),
    Binary(binary::Tuples),
}

impl CopyReader {
    /// A reader of rows that must be this tenant's.
    #[must_use]
    pub fn new(plan: Arc<CopyPlan>, tenant: Tenant) -> Self {
        let rows = match &plan.format {
            Format::Text(options) | Format::Csv(options) => {
                Rows::Text(text::Lines::new(*options, plan.row_bytes))
            }
            Format::Binary => Rows::Binary(binary::Tuples::new(plan.row_bytes)),
        };
        Self { plan, tenant, rows }
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Arc<CopyPlan> {
        &self.plan
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// At the first row that may not be written.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), RowRefused> {
        let Self { plan, tenant, rows } = self;
        let mut judge = |fields: &[Field]| plan.judge(fields, tenant);
        match rows {
            Rows::Text(lines) => lines.take(bytes, &mut judge),
            Rows::Binary(tuples) => tuples.take(bytes, &mut judge),
        }
    }

    /// No more bytes come.
    ///
    /// # Errors
    /// If the last row may not be written, or is not whole.
    pub fn finish(&mut self) -> Result<(), RowRefused> {
        let Self { plan, tenant, rows } = self;
        let mut judge = |fields: &[Field]| plan.judge(fields, tenant);
        match rows {
            Rows::Text(lines) => lines.finish(&mut judge),
            Rows::Binary(tuples) => tuples.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, standard};
    use crate::sql::StatementBody;

    const A: &str = "11111111-1111-4111-8111-111111111111";
    const B: &str = "22222222-2222-4222-8222-222222222222";

    fn plan_of(sql: &str) -> Result<Option<CopyPlan>, Rule> {
        let config = standard(&Overrides::default()).unwrap();
        let policy = Policy { copy_from: true, ..(*config.policy).clone() };
        let mut statements = crate::sql::read(sql, &policy.limits).unwrap();
        let StatementBody::CopyFrom(copy) = statements.remove(0).body else { panic!("{sql}") };
        CopyPlan::of(&copy, &policy).map_err(|violation| violation.rule)
    }

    /// What becomes of data, fed in pieces of every size.
    fn judged(options: &str, data: &[u8]) -> Result<(), RowRefused> {
        let sql = format!("COPY org_tags (id, organization_id, deleted_at) FROM STDIN {options}");
        let plan = Arc::new(plan_of(&sql).unwrap().unwrap());
        let tenant = TenantType::Uuid.parse(A).unwrap();
        let run = |size: usize| {
            let mut reader = CopyReader::new(Arc::clone(&plan), tenant.clone());
            data.chunks(size).try_for_each(|piece| reader.take(piece))?;
            reader.finish()
        };
        let whole = run(data.len().max(1));
        for size in 1..8 {
            assert_eq!(run(size).is_ok(), whole.is_ok(), "{size}: {data:?}");
        }
        whole
    }

    fn text(data: &str) -> Result<(), RowRefused> {
        judged("", data.replace("A", A).replace("B", B).as_bytes())
    }

    fn csv(options: &str, data: &str) -> Result<(), RowRefused> {
        let data = data.replace("A", A).replace("B", B);
        judged(&format!("(FORMAT csv {options})"), data.as_bytes())
    }

    #[test]
    fn own_rows_pass() {
        for data in [
            "",
            "1\tA\t\\N\n",
            "1\tA\t\\N",
            "1\tA\t\\N\n2\tA\t\\N\n\\.\n",
            "1\tA\t\\N\r\n2\tA\t\\N\r\n",
            "tab \\t and \\\\ and line \\\nend\tA\t\\N\n",
        ] {
            assert_eq!(text(data), Ok(()), "{data:?}");
        }
        for (options, data) in [
            ("", "1,A,\n2,A,\n"),
            ("", "\"1,\n\"\"x\",\"A\",\n"),
            (", HEADER", "id,organization_id,deleted_at\n1,A,\n"),
            (", HEADER match", "B,B,B\r\n1,A,\r\n"),
            (", QUOTE '''', ESCAPE '\\', DELIMITER ';', NULL 'none'", "'it\\'s;';A;none\n"),
        ] {
            assert_eq!(csv(options, data), Ok(()), "{data:?}");
        }
        let other = "1|A|~\n".replace("A", A);
        assert_eq!(judged("DELIMITER '|' NULL AS '~'", other.as_bytes()), Ok(()));
    }

    #[test]
    fn foreign_and_deleted_rows_do_not() {
        use RowRefused as R;
        for (data, refused) in [
            ("1\tB\t\\N\n", R::Foreign),
            ("1\tA\t\\N\n2\tB\t\\N", R::Foreign),
            ("1\t\\N\t\\N\n", R::Foreign),
            ("1\tA\t2026-01-01\n", R::Deleted),
            ("1\tA\t\n", R::Deleted),
            // An escaped tab does not end the field, nor an escaped line end the row.
            ("1\\\tA\tB\t\\N\n", R::Foreign),
        ] {
            assert_eq!(text(data), Err(refused), "{data:?}");
        }
        // The tenant in escapes: what they mean is what counts.
        let escaped: String = A.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        assert_eq!(judged("", format!("1\t{escaped}\t\\N\n").as_bytes()), Ok(()));
        let escaped: String = B.bytes().map(|byte| format!("\\{byte:03o}")).collect();
        assert_eq!(judged("", format!("1\t{escaped}\t\\N\n").as_bytes()), Err(R::Foreign));
        for (options, data, refused) in [
            ("", "1,B,\n", R::Foreign),
            ("", "1,A,\n\"x\n2,A,\n\",B,\n", R::Foreign),
            ("", "1,A,\"\"\n", R::Deleted),
            ("", ",,\n", R::Foreign),
            (", HEADER false", "1,B,\n", R::Foreign),
            (", HEADER", "1,B,\n2,B,\n", R::Foreign),
        ] {
            assert_eq!(csv(options, data), Err(refused), "{data:?}");
        }
    }

    #[test]
    fn what_the_server_may_read_otherwise_is_refused() {
        for data in [
            "1\tA\n",
            "1\tA\t\\N\tmore\n",
            "1\tA\t\\N\r",
            "1\tA\t\\N\n2\tA\t\\N\r\n",
            "1\tA\t\\N\r\n2\tA\t\\N\n",
            "1\tA\t\\N\n\\.\n2\tA\t\\N\n",
            "1\tA\t\\N\\.\n",
            "1\tA\t\\N\n\\.x\n",
            "1\tA\t\\N\\",
            "1\tA\t\\N\n\n",
        ] {
            assert!(matches!(text(data), Err(RowRefused::Unread(_))), "{data:?}");
        }
        for data in ["1,A,\n\\.\n", "\"1,A,\n", "1,A,\n2,A,\r\n", "1\r,A,\n"] {
            assert!(matches!(csv("", data), Err(RowRefused::Unread(_))), "{data:?}");
        }
        let long = format!("{}\t{A}\t\\N\n", "x".repeat(9 << 20));
        let plan = plan_of("COPY org_tags (id, organization_id) FROM STDIN").unwrap().unwrap();
        let mut reader = CopyReader::new(Arc::new(plan), TenantType::Uuid.parse(A).unwrap());
        assert!(matches!(reader.take(long.as_bytes()), Err(RowRefused::Unread(_))));
    }

    fn tuple(tenant: Option<[u8; 16]>, deleted: Option<i64>) -> Vec<u8> {
        let mut bytes = vec![0, 3, 0, 0, 0, 4, 0, 0, 0, 1];
        match tenant {
            None => bytes.extend([0xff; 4]),
            Some(tenant) => {
                bytes.extend(16_u32.to_be_bytes());
                bytes.extend(tenant);
            }
        }
        match deleted {
            None => bytes.extend([0xff; 4]),
            Some(at) => {
                bytes.extend(8_u32.to_be_bytes());
                bytes.extend(at.to_be_bytes());
            }
        }
        bytes
    }

    #[test]
    fn binary_rows() {
        let (a, b) = ([0x11_u8; 16], [0x22; 16]);
        let mut own = a;
        (own[6], own[8]) = (0x41, 0x81);
        let head = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        let run = |parts: &[Vec<u8>]| judged("BINARY", &parts.concat());
        let end = vec![0xff, 0xff];
        let good = tuple(Some(own), None);
        assert_eq!(run(&[head.clone(), good.clone(), good.clone(), end.clone()]), Ok(()));
        assert_eq!(run(&[head.clone(), end.clone()]), Ok(()));
        let foreign = run(&[head.clone(), good.clone(), tuple(Some(b), None), end.clone()]);
        assert_eq!(foreign, Err(RowRefused::Foreign));
        assert_eq!(run(&[head.clone(), tuple(None, None)]), Err(RowRefused::Foreign));
        assert_eq!(run(&[head.clone(), tuple(Some(own), Some(1))]), Err(RowRefused::Deleted));
        for parts in [
            &[good.clone()][..],
            &[head.clone(), good.clone()],
            &[head.clone(), good[..20].to_vec()],
            &[head.clone(), end.clone(), good.clone()],
            &[b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0".to_vec(), good.clone(), end.clone()],
            &[head.clone(), vec![0, 2], end],
            &[head.clone(), vec![0, 3, 0xff, 0xff, 0xff, 0xfe]],
            &[head, vec![0, 3, 0x7f, 0xff, 0xff, 0xff]],
        ] {
            assert!(matches!(run(parts), Err(RowRefused::Unread(_))), "{parts:?}");
        }
    }

    #[test]
    fn options_that_are_not_known_are_refused() {
        for options in [
            "(ENCODING 'latin1')",
            "(FORMAT csv, FORCE_NOT_NULL deleted_at)",
            "(FORMAT xml)",
            "(DEFAULT 'x')",
            "(ON_ERROR ignore)",
            "(DELIMITER 'ab')",
            "(DELIMITER 'a')",
            "(DELIMITER '\\')",
            "(FORMAT csv, QUOTE 'xx')",
            "(FORMAT csv, DELIMITER '\"')",
            "(FORMAT binary, HEADER)",
            "(FORMAT csv, FORMAT text)",
            "(HEADER 2)",
            "(NULL 'a\tb')",
        ] {
            let sql = format!("COPY org_tags (organization_id) FROM STDIN {options}");
            assert_eq!(plan_of(&sql).map(drop), Err(Rule::GuardedCopy), "{options}");
        }
        let none = plan_of("COPY org_tags FROM STDIN").map(drop);
        assert_eq!(none, Err(Rule::ForeignInsert));
        assert!(plan_of("COPY tags FROM STDIN").unwrap().is_none());
        for options in
            ["", "(ENCODING 'utf-8')", "WITH (FREEZE)", "WITH CSV HEADER", "DELIMITER E'\\t'"]
        {
            let sql = format!("COPY public.org_tags (organization_id) FROM STDIN {options}");
            assert!(plan_of(&sql).unwrap().is_some(), "{options}");
        }
    }
}
