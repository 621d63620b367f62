//! The tenant: a value of the tenant column's type, and every spelling of it that PostgreSQL takes.
//!
//! This room knows nothing of SQL, of sessions or of the wire. A spelling that it does not know is
//! not a tenant: callers treat it as a value that no tenant has.

mod uuid;

pub use uuid::Uuid;

/// The type of the tenant column (`[guard] tenant_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TenantType {
    /// `bigint`, `integer` or `smallint` keys.
    Bigint,
    /// `text` or `varchar` keys, compared byte for byte.
    Text,
    /// `uuid` keys.
    Uuid,
}

impl TenantType {
    /// The name of the type in `pg_catalog`, as a cast would write it.
    #[must_use]
    pub const fn sql_name(self) -> &'static str {
        match self {
            Self::Bigint => "bigint",
            Self::Text => "text",
            Self::Uuid => "uuid",
        }
    }

    /// Reads a value from its text spelling, as PostgreSQL's input function of the type does.
    ///
    /// `None` if PostgreSQL would not take the text, or if this room is not sure that it would.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Tenant> {
        match self {
            Self::Bigint => parse_bigint(text).map(Tenant::Bigint),
            Self::Text => Some(Tenant::Text(text.into())),
            Self::Uuid => Uuid::parse(text).map(Tenant::Uuid),
        }
    }
}

/// One organization, as a value of the tenant column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// A `bigint` key.
    Bigint(i64),
    /// A `text` key.
    Text(Box<str>),
    /// A `uuid` key.
    Uuid(Uuid),
}

/// Decimal digits with an optional sign; white space around them as `int8in` allows it
/// (PostgreSQL documentation, 8.1.1). Hexadecimal and underscores (16 and later) are not read.
fn parse_bigint(text: &str) -> Option<i64> {
    let text = text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c'));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bigint_takes_what_int8in_takes() {
        assert_eq!(TenantType::Bigint.parse(" 42\n"), Some(Tenant::Bigint(42)));
        assert_eq!(TenantType::Bigint.parse("+7"), Some(Tenant::Bigint(7)));
        assert_eq!(TenantType::Bigint.parse("-7"), Some(Tenant::Bigint(-7)));
        for refused in ["", "+", "1.0", "0x1F", "1_000", "9223372036854775808", "--1", "+-1"] {
            assert_eq!(TenantType::Bigint.parse(refused), None, "{refused}");
        }
    }
}
