/// What a change of a setting means to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingClass {
    /// The guard does not rely on it.
    Harmless,
    /// The guard relies on its value, and this is a value it can rely on.
    PinnedHolds,
    /// The guard relies on its value, and this would be another.
    PinnedBroken,
    /// Not known to be harmless: refused.
    Unknown,
}

/// Which settings a session may change.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `[session] settings`: settings that the configuration vouches for, in lower case.
    pub allowed: Vec<Box<str>>,
    /// `[session] search_path`: schemas that a search path may name.
    pub search_path: Vec<Box<str>>,
    /// `upstream_pooling`: a pooler stands before the server, and the settings of a startup packet
    /// are set after login. A reset does not come back to them.
    pub pooled: bool,
}

/// Settings on whose values the reading of statements rests.
const PINNED: &[&str] = &[
    "backslash_quote",
    "client_encoding",
    "default_tablespace",
    "lo_compat_privileges",
    "role",
    "row_security",
    "search_path",
    "session_authorization",
    "session_preload_libraries",
    "session_replication_role",
    "standard_conforming_strings",
    "transform_null_equals",
];

/// Settings that clients change and that mean nothing to the guard (documentation, chapter 20).
const HARMLESS: &[&str] = &[
    "application_name",
    "bytea_output",
    "check_function_bodies",
    "client_connection_check_interval",
    "client_min_messages",
    "commit_delay",
    "constraint_exclusion",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "datestyle",
    "deadlock_timeout",
    "default_statistics_target",
    "default_table_access_method",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_gathermerge",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "escape_string_warning",
    "extra_float_digits",
    "force_parallel_mode",
    "from_collapse_limit",
    "geqo",
    "gin_fuzzy_search_limit",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "join_collapse_limit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "log_min_duration_statement",
    "log_statement",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "recursive_worktable_factor",
    "seed",
    "seq_page_cost",
    "statement_timeout",
    "synchronize_seqscans",
    "synchronous_commit",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "temp_buffers",
    "timezone",
    "timezone_abbreviations",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
    "vacuum_cost_delay",
    "vacuum_cost_limit",
    "work_mem",
    "xmlbinary",
    "xmloption",
];

impl Settings {
    /// What setting `name` (in any case) to these values means; no value is DEFAULT or RESET.
    #[must_use]
    pub fn class(&self, name: &str, values: &[&str]) -> SettingClass {
        let name = name.to_ascii_lowercase();
        if PINNED.contains(&name.as_str()) {
            return if self.holds(&name, values) {
                SettingClass::PinnedHolds
            } else {
                SettingClass::PinnedBroken
            };
        }
        let vouched = HARMLESS.contains(&name.as_str())
            || self.allowed.iter().any(|allowed| **allowed == *name)
            // A name with a dot is a placeholder of the application's own, or an extension's
            // setting, of which none changes how PostgreSQL reads a statement.
            || name.contains('.');
        if vouched { SettingClass::Harmless } else { SettingClass::Unknown }
    }

    /// Whether a setting may have any value.
    #[must_use]
    pub fn is_harmless(&self, name: &str) -> bool {
        // NUL is no value of any setting.
        self.class(name, &["\u{0}"]) == SettingClass::Harmless
    }

    /// Whether a pinned setting keeps a value the guard can rely on.
    fn holds(&self, name: &str, values: &[&str]) -> bool {
        match (name, values) {
            // DEFAULT and RESET go back to what the session started with, which was judged then;
            // behind a pooler, to what its server process has.
            (_, []) => !self.pooled,
            ("standard_conforming_strings" | "row_security", [value]) => {
                matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1")
            }
            ("backslash_quote", [value]) => value.eq_ignore_ascii_case("safe_encoding"),
            ("client_encoding", [value]) => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode")
            }
            ("search_path", values) => self.search_path_holds(values),
            ("default_tablespace", _) => true,
            ("transform_null_equals", [value]) => {
                matches!(value.to_ascii_lowercase().as_str(), "off" | "false" | "no" | "0")
            }
            (_, _) => false,
        }
    }

    /// Every schema is one that the configuration names. `pg_catalog` may stand only first, where
    /// it is anyway: behind another schema, that schema's operators would come before its own.
    fn search_path_holds(&self, values: &[&str]) -> bool {
        let schemas = values.iter().flat_map(|value| value.split(','));
        schemas.enumerate().all(|(index, schema)| {
            let schema = schema.trim().trim_matches('"');
            schema.is_empty()
                || (schema == "pg_catalog" && index == 0)
                || self.search_path.iter().any(|allowed| **allowed == *schema)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let search_path = vec!["public".into(), "$user".into()];
        Settings { search_path, ..Settings::default() }
    }

    #[test]
    fn pinned_settings_keep_their_value() {
        use SettingClass as C;
        let settings = settings();
        for (name, value, class) in [
            ("standard_conforming_strings", "on", C::PinnedHolds),
            ("STANDARD_CONFORMING_STRINGS", "off", C::PinnedBroken),
            ("client_encoding", "UTF-8", C::PinnedHolds),
            ("client_encoding", "SJIS", C::PinnedBroken),
            ("search_path", "\"$user\", public", C::PinnedHolds),
            ("search_path", "", C::PinnedHolds),
            ("search_path", "evil, public", C::PinnedBroken),
            ("search_path", "public, pg_catalog", C::PinnedBroken),
            ("search_path", "pg_temp", C::PinnedBroken),
            ("role", "app_bypass", C::PinnedBroken),
            ("row_security", "off", C::PinnedBroken),
            ("session_replication_role", "replica", C::PinnedBroken),
            ("statement_timeout", "5s", C::Harmless),
            ("app.anything", "x", C::Harmless),
            ("dynamic_library_path", "x", C::Unknown),
        ] {
            assert_eq!(settings.class(name, &[value]), class, "{name} = {value}");
        }
    }

    #[test]
    fn a_reset_goes_back_to_the_start_of_the_session() {
        assert_eq!(settings().class("role", &[]), SettingClass::PinnedHolds);
        assert_eq!(settings().class("standard_conforming_strings", &[]), SettingClass::PinnedHolds);
        let pooled = Settings { pooled: true, ..settings() };
        assert_eq!(pooled.class("row_security", &[]), SettingClass::PinnedBroken);
        assert_eq!(pooled.class("row_security", &["on"]), SettingClass::PinnedHolds);
    }
}
