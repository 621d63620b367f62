use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What is known of a routine that a statement calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routine {
    /// Computes from its arguments, or reads the catalogue alone.
    Harmless,
    /// Harmless, but has an effect or another result at each call, so that it must not see rows
    /// that are not the tenant's (design, trap 2).
    Volatile,
    /// `current_setting`.
    ReadsSetting,
    /// `set_config`: the caller looks at its arguments.
    SetsSetting,
    /// Runs SQL text, reads beside the guard, or is not known: refused unless the configuration
    /// vouches for it.
    Unknown,
}

/// Which routines a statement may call.
#[derive(Clone, Debug, Default)]
pub struct Routines {
    /// `[routines] allow`: routines that the configuration vouches for, in lower case, with or
    /// without a schema.
    pub allowed: HashSet<Box<str>>,
    /// `[routines] rules`: rewrite rules that the configuration vouches for, in lower case, as
    /// `relation.rule`.
    pub rules: HashSet<Box<str>>,
}

impl Routines {
    /// Whether the configuration vouches for a routine: by its full name, or by a bare name for
    /// calls that are not qualified.
    #[must_use]
    pub fn is_allowed(&self, schema: Option<&str>, name: &str) -> bool {
        match schema {
            Some(schema) if schema != "pg_catalog" => {
                self.allowed.contains(format!("{schema}.{name}").as_str())
            }
            Some(_) | None => self.allowed.contains(name),
        }
    }

    /// What is known of a routine by its (folded) schema, if it is qualified, and name.
    #[must_use]
    pub fn class(&self, schema: Option<&str>, name: &str) -> Routine {
        if self.is_allowed(schema, name) {
            return Routine::Harmless;
        }
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return Routine::Unknown;
        }
        match name {
            "current_setting" => Routine::ReadsSetting,
            "set_config" => Routine::SetsSetting,
            _ => match BUILT_IN.get(name) {
                Some(true) => Routine::Volatile,
                Some(false) => Routine::Harmless,
                None => Routine::Unknown,
            },
        }
    }
}

/// Whether an extension's routines only compute from their arguments. Those that run SQL text or
/// read tables (dblink, tablefunc, xml2, pgrowlocks, pgstattuple, pg_stat_statements …) are not here.
#[must_use]
pub fn computing_extension(name: &str) -> bool {
    matches!(
        name,
        "btree_gin"
            | "btree_gist"
            | "citext"
            | "cube"
            | "dict_int"
            | "earthdistance"
            | "fuzzystrmatch"
            | "hstore"
            | "intarray"
            | "isn"
            | "ltree"
            | "pg_trgm"
            | "pgcrypto"
            | "seg"
            | "unaccent"
            | "uuid-ossp"
            | "vector"
    )
}

/// Whether a routine gives a result for every argument, or an error that shows none of them.
#[must_use]
pub fn is_total_routine(name: &str) -> bool {
    TOTAL.contains(&name)
}

const TOTAL: &[&str] = &[
    "abs",
    "age",
    "array_length",
    "array_position",
    "array_positions",
    "array_remove",
    "array_to_string",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "current_setting",
    "date_part",
    "date_trunc",
    "extract",
    "floor",
    "greatest",
    "initcap",
    "isfinite",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_typeof",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "make_interval",
    "md5",
    "now",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "octet_length",
    "plainto_tsquery",
    "phraseto_tsquery",
    "position",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "split_part",
    "starts_with",
    "statement_timestamp",
    "strpos",
    "to_jsonb",
    "to_json",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "ts_rank",
    "ts_rank_cd",
    "upper",
    "websearch_to_tsquery",
];

/// Whether PostgreSQL itself has a routine of this name that is harmless and has no effect.
#[must_use]
pub fn is_harmless_routine(name: &str) -> bool {
    BUILT_IN.contains_key(name)
}

/// Name to whether it is volatile.
static BUILT_IN: LazyLock<HashMap<&'static str, bool>> = LazyLock::new(|| {
    include_str!("routines.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.strip_suffix(" v").map_or((line, false), |name| (name, true)))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_sql_text_is_harmless() {
        let routines = Routines::default();
        for name in [
            "query_to_xml",
            "table_to_xml",
            "schema_to_xml",
            "database_to_xml",
            "cursor_to_xml",
            "ts_stat",
            "ts_rewrite",
            "crosstab",
            "connectby",
            "xpath_table",
            "dblink",
            "pg_read_file",
            "lo_get",
            "lo_export",
            "pg_logical_slot_get_changes",
            "f_exec",
        ] {
            assert_eq!(routines.class(None, name), Routine::Unknown, "{name}");
        }
        assert_eq!(routines.class(Some("evil"), "lower"), Routine::Unknown);
        assert_eq!(routines.class(Some("pg_catalog"), "lower"), Routine::Harmless);
        assert_eq!(routines.class(None, "pg_notify"), Routine::Volatile);
    }

    #[test]
    fn what_the_configuration_vouches_for() {
        let allowed = ["app.tax".into(), "slugify".into()].into_iter().collect();
        let routines = Routines { allowed, ..Routines::default() };
        assert_eq!(routines.class(Some("app"), "tax"), Routine::Harmless);
        assert_eq!(routines.class(Some("evil"), "tax"), Routine::Unknown);
        assert_eq!(routines.class(None, "slugify"), Routine::Harmless);
        assert_eq!(routines.class(Some("evil"), "slugify"), Routine::Unknown);
    }
}
