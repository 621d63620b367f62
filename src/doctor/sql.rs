//! Pieces of the SQL that the doctor writes.

/// An identifier, in double quotes where SQL needs them.
pub(super) fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with("current_")
        && !KEYWORDS.contains(&name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The keywords that may not stand for a column or a table (PostgreSQL documentation, appendix C),
/// those that start with `current_` left out.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// A name with its schema.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// A list of columns.
pub(super) fn columns<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| quote(name.as_ref())).collect();
    quoted.join(", ")
}

/// Puts text behind the first opening parenthesis of a definition that stands in no quotes.
pub(super) fn insert_first(definition: &str, text: &str) -> Option<String> {
    let at = unquoted(definition, '(')?;
    let (before, after) = definition.split_at_checked(at.checked_add(1)?)?;
    Some(format!("{before}{text}{after}"))
}

/// What a foreign key's definition says behind the columns it points at.
pub(super) fn foreign_key_actions(definition: &str) -> Option<&str> {
    let mut rest = definition;
    for _ in 0..2 {
        let at = unquoted(rest, ')')?;
        rest = rest.get(at.checked_add(1)?..)?;
    }
    Some(rest)
}

/// The byte at which a character stands outside of double quotes.
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if c == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quote("org_products"), "org_products");
        assert_eq!(quote("order"), "\"order\"");
        assert_eq!(quote("Odd \"one\""), "\"Odd \"\"one\"\"\"");
        assert_eq!(quote("1st"), "\"1st\"");
        assert_eq!(qualified("public", "User"), "public.\"User\"");
    }

    #[test]
    fn definitions_are_extended_outside_of_quotes() {
        let index = r#"CREATE UNIQUE INDEX "a(b" ON public.t USING btree (lower(x)) WHERE (y > 0)"#;
        assert_eq!(
            insert_first(index, "o, ").unwrap(),
            r#"CREATE UNIQUE INDEX "a(b" ON public.t USING btree (o, lower(x)) WHERE (y > 0)"#
        );
        assert_eq!(insert_first("none", "o"), None);
        let key = r#"FOREIGN KEY ("a)", b) REFERENCES public.t(c, d) ON DELETE SET NULL"#;
        assert_eq!(foreign_key_actions(key), Some(" ON DELETE SET NULL"));
    }
}
