//! Which statements may have changed the catalogue, by what the server says they did.

use crate::analyze::Kind;

/// Command tags of utility statements that make, change and drop no relation and no routine.
const HARMLESS: [&[u8]; 17] = [
    b"ANALYZE",
    b"CHECKPOINT",
    b"COMMENT",
    b"DISCARD TEMP",
    b"EXPLAIN",
    b"GRANT",
    b"GRANT ROLE",
    b"LISTEN",
    b"LOCK TABLE",
    b"NOTIFY",
    b"REFRESH MATERIALIZED VIEW",
    b"REINDEX",
    b"REVOKE",
    b"REVOKE ROLE",
    b"TRUNCATE TABLE",
    b"UNLISTEN",
    b"VACUUM",
];

/// Whether a statement that completed may have changed the catalogue.
pub(super) fn is_touched(kind: Kind, tag: &[u8]) -> bool {
    match kind {
        // What was not understood passes in audit, and may be anything. CREATE TABLE AS has the
        // tag of its SELECT.
        Kind::Utility | Kind::NotUnderstood => !HARMLESS.contains(&tag),
        // What another session prepared with it takes effect here.
        Kind::Transaction => tag == b"COMMIT PREPARED",
        Kind::Select
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::Setting
        | Kind::Prepared
        | Kind::Copy => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_kind_and_tag() {
        for (kind, tag, touched) in [
            (Kind::Utility, "CREATE TABLE", true),
            (Kind::Utility, "SELECT 5", true),
            (Kind::Utility, "DO", true),
            (Kind::Utility, "LISTEN", false),
            (Kind::NotUnderstood, "ALTER VIEW", true),
            (Kind::Select, "SELECT 5", false),
            (Kind::Transaction, "COMMIT", false),
            (Kind::Transaction, "COMMIT PREPARED", true),
        ] {
            assert_eq!(is_touched(kind, tag.as_bytes()), touched, "{tag}");
        }
    }
}
