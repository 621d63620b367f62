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

/// Oid, schema, name, kind, whether it is none of the server's own, and definition.
pub(super) const RELATIONS: &str = "\
    SELECT c.oid, n.nspname, c.relname, c.relkind, \
      n.nspname NOT IN ('pg_catalog', 'information_schema'), \
      CASE WHEN c.relkind IN ('v', 'm') \
            AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
           THEN pg_catalog.pg_get_viewdef(c.oid) END \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
      AND n.nspname <> 'pg_toast' \
    ORDER BY c.oid";

/// Relation, name and event of each rewrite rule that is no view's definition and is not disabled
/// (`D`), nor for replication alone (`R`).
pub(super) const RULES: &str = "\
    SELECT r.ev_class, r.rulename, r.ev_type FROM pg_catalog.pg_rewrite r \
    WHERE r.ev_type <> '1' AND r.ev_enabled NOT IN ('D', 'R') \
      AND r.ev_class >= 16384 \
    ORDER BY r.ev_class, r.rulename";

/// Relation, name, kind in bits, and the routine's schema and name, of each trigger of the user's
/// that fires in an ordinary session.
///
/// A trigger cloned to a partition is marked internal up to PostgreSQL 14; those of foreign keys,
/// which are left out, belong to a constraint.
pub(super) const TRIGGERS: &str = "\
    SELECT t.tgrelid, t.tgname, t.tgtype, n.nspname, p.proname \
    FROM pg_catalog.pg_trigger t \
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    WHERE (NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgconstraint = 0) \
      AND t.tgenabled NOT IN ('D', 'R') \
    ORDER BY t.tgrelid, t.tgname";

/// Relation, index, key columns (NULL if there is an expression, or one is compared in another way
/// than by its own equality), and whether it has no WHERE, of each unique index that is in use.
pub(super) const UNIQUE: &str = "\
    SELECT i.indrelid, c.relname, \
      CASE WHEN i.indexprs IS NULL AND NOT EXISTS ( \
        SELECT FROM ROWS FROM (pg_catalog.unnest(i.indkey::pg_catalog.int2[]), \
          pg_catalog.unnest(i.indcollation::pg_catalog.oid[]), \
          pg_catalog.unnest(i.indclass::pg_catalog.oid[])) k(att, coll, class) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att \
        JOIN pg_catalog.pg_opclass o ON o.oid = k.class \
        WHERE k.coll <> a.attcollation OR NOT o.opcdefault) \
      THEN ARRAY( \
        SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = i.indrelid \
          AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]) \
        ORDER BY a.attnum) END, \
      i.indpred IS NULL \
    FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    WHERE i.indisunique AND i.indislive AND i.indrelid >= 16384 \
    ORDER BY i.indrelid, c.relname";

/// Role (NULL for every role), and the settings as `name=value`, that sessions of this database
/// start with.
pub(super) const SETTINGS: &str = "\
    SELECT r.rolname, s.setconfig \
    FROM pg_catalog.pg_db_role_setting s \
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
    WHERE s.setdatabase = 0 OR s.setdatabase = ( \
      SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
    ORDER BY s.setdatabase, s.setrole";

/// Roles that may log in.
pub(super) const ROLES: &str = "\
    SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolcanlogin ORDER BY r.rolname";

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

/// The referenced table, the one with the foreign key, the referenced columns, and what happens on
/// DELETE and UPDATE.
pub(super) const REFERENCES: &str = "\
    SELECT k.confrelid, k.conrelid, ARRAY( \
        SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey) ORDER BY a.attnum), \
      k.confdeltype, k.confupdtype \
    FROM pg_catalog.pg_constraint k \
    WHERE k.contype = 'f' ORDER BY k.confrelid, k.conrelid, k.oid";

/// Schema, name, language, volatility, body, extension and settings.
///
/// A body is given of routines in SQL, and of triggers' in PL/pgSQL, only if it is a string (one
/// between BEGIN ATOMIC and END is kept elsewhere and leaves an empty string) and if the routine
/// changes neither a setting nor the role: under another search path its names mean other
/// relations, and `\"$user\"` is another schema for its owner.
pub(super) const ROUTINES: &str = "\
    SELECT n.nspname, p.proname, l.lanname, p.provolatile = 'v', \
      CASE WHEN (l.lanname = 'sql' \
            OR l.lanname = 'plpgsql' AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype) \
          AND p.proconfig IS NULL AND NOT p.prosecdef AND p.prosrc <> '' THEN p.prosrc END, \
      (SELECT e.extname FROM pg_catalog.pg_depend d \
       JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
         AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         AND d.deptype = 'e' LIMIT 1), \
      coalesce(p.proconfig, '{}') \
    FROM pg_catalog.pg_proc p \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
    ORDER BY p.oid";
