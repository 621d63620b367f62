//! What is asked of `pg_catalog`. Every name is qualified: `pg_temp` would come before it.
//!
//! Only columns that PostgreSQL 13 to 18 have; each list is ordered, so that the same catalogue
//! is always read the same.

/// One transaction for all. The functions that print definitions look at the newest catalogue
/// nevertheless: a name in one of them that the lists lack is an unknown relation, which refuses.
pub(super) const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL search_path TO ''; \
    SET LOCAL statement_timeout TO '20s'; \
    SET LOCAL lock_timeout TO '1s'";

pub(super) const COMMIT: &str = "COMMIT";

/// Oid, schema, name, kind, whether it is none of the server's own, definition, and whether it has
/// rules or triggers.
///
/// A trigger cloned to a partition is marked internal up to PostgreSQL 14; those of foreign keys,
/// which are left out, belong to a constraint.
pub(super) const RELATIONS: &str = "\
    SELECT c.oid, n.nspname, c.relname, c.relkind, \
      n.nspname NOT IN ('pg_catalog', 'information_schema'), \
      CASE WHEN c.relkind IN ('v', 'm') \
            AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
           THEN pg_catalog.pg_get_viewdef(c.oid) END, \
      EXISTS (SELECT FROM pg_catalog.pg_rewrite r \
              WHERE r.ev_class = c.oid AND r.ev_type <> '1') \
      OR EXISTS (SELECT FROM pg_catalog.pg_trigger t \
              WHERE t.tgrelid = c.oid \
                AND (NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgconstraint = 0)) \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
      AND n.nspname <> 'pg_toast' \
    ORDER BY c.oid";

/// Relation, name, type, NOT NULL, DEFAULT, and whether it is generated.
///
/// PostgreSQL 18 has NOT NULL constraints that old rows may break. What a generated column is
/// computed from is no default.
pub(super) const COLUMNS: &str = "\
    SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
      a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
        WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated \
          AND a.attnum = ANY (k.conkey)), \
      CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
      a.attgenerated <> '' \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attnum > 0 AND NOT a.attisdropped \
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
    ORDER BY a.attrelid, a.attnum";

/// Child and parent, by inheritance and by partition.
pub(super) const FAMILY: &str = "\
    SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i \
    ORDER BY i.inhrelid, i.inhparent";

/// The referenced table, and one with a foreign key on it.
pub(super) const REFERENCES: &str = "\
    SELECT DISTINCT k.confrelid, k.conrelid FROM pg_catalog.pg_constraint k \
    WHERE k.contype = 'f' ORDER BY 1, 2";

/// Schema, name, language, volatility, body and extension.
///
/// A body in SQL is given only if it is a string (one between BEGIN ATOMIC and END is kept
/// elsewhere and leaves an empty string) and if the routine changes no setting: under another
/// search path its names mean other relations.
pub(super) const ROUTINES: &str = "\
    SELECT n.nspname, p.proname, l.lanname, p.provolatile = 'v', \
      CASE WHEN l.lanname = 'sql' AND p.proconfig IS NULL AND p.prosrc <> '' THEN p.prosrc END, \
      (SELECT e.extname FROM pg_catalog.pg_depend d \
       JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
         AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         AND d.deptype = 'e' LIMIT 1) \
    FROM pg_catalog.pg_proc p \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
    ORDER BY p.oid";
