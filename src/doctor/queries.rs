//! What is asked of `pg_catalog`. Every name is qualified: `pg_temp` would come before it.
//!
//! Only columns that PostgreSQL 13 to 18 have.

pub(super) const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL search_path TO ''; \
    SET LOCAL statement_timeout TO '60s'; \
    SET LOCAL lock_timeout TO '5s'";

pub(super) const COMMIT: &str = "COMMIT";

/// Database and version.
pub(super) const SERVER: &str = "\
    SELECT pg_catalog.current_database()::text, \
      pg_catalog.current_setting('server_version_num')::int";

/// Ends a query over `pg_class c` and `pg_namespace n`: neither the server's own, nor temporary,
/// nor of an extension.
macro_rules! own_relations {
    () => {
        "c.relpersistence <> 't' \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
           WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid \
             AND e.deptype = 'e')"
    };
}

/// Oid, schema, name, kind, whether it is a partition, owner, row security, forced, policies.
pub(super) const TABLES: &str = concat!(
    "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, \
       pg_catalog.pg_get_userbyid(c.relowner)::text, c.relrowsecurity, c.relforcerowsecurity, \
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'f') AND ",
    own_relations!(),
    " ORDER BY n.nspname, c.relname"
);

/// Relation, name, type, NOT NULL, whether it has a default.
pub(super) const COLUMNS: &str = concat!(
    "SELECT a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
       a.attnotnull, a.atthasdef AND a.attgenerated = '' \
     FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND ",
    own_relations!(),
    " ORDER BY a.attrelid, a.attnum"
);

/// Relation, name, key columns (NULL for an expression), unique, primary, valid, access method,
/// predicate, definition, and the definition of its unique or exclusion constraint.
///
/// Indexes that a partition has of its parent are left out.
pub(super) const INDEXES: &str = concat!(
    "SELECT i.indrelid, x.relname::text, \
       ARRAY(SELECT a.attname::text \
             FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
             LEFT JOIN pg_catalog.pg_attribute a \
               ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0 \
             WHERE k.place <= i.indnkeyatts ORDER BY k.place), \
       i.indisunique, i.indisprimary, i.indisvalid, m.amname::text, \
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), pg_catalog.pg_get_indexdef(i.indexrelid), \
       (SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k \
        WHERE k.conindid = i.indexrelid AND k.contype IN ('u', 'x') LIMIT 1) \
     FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND NOT x.relispartition \
     JOIN pg_catalog.pg_am m ON m.oid = x.relam \
     JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE ",
    own_relations!(),
    " ORDER BY i.indrelid, x.relname"
);

/// Name, table, its columns, target, its columns, definition.
pub(super) const FOREIGN_KEYS: &str = "\
    SELECT k.conname::text, k.conrelid, \
      ARRAY(SELECT a.attname::text \
            FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(number, place) \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number \
            ORDER BY u.place), \
      k.confrelid, \
      ARRAY(SELECT a.attname::text \
            FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(number, place) \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number \
            ORDER BY u.place), \
      pg_catalog.pg_get_constraintdef(k.oid) \
    FROM pg_catalog.pg_constraint k \
    WHERE k.contype = 'f' AND k.conparentid = 0 \
    ORDER BY k.conrelid, k.conname";

/// Oid, schema, name, kind, options, relations used, roles with rights beside the owner.
pub(super) const VIEWS: &str = concat!(
    "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
       coalesce(c.reloptions, '{}')::text[], \
       ARRAY(SELECT DISTINCT d.refobjid FROM pg_catalog.pg_rewrite r \
             JOIN pg_catalog.pg_depend d \
               ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
             WHERE r.ev_class = c.oid AND d.refobjid <> c.oid \
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), \
       ARRAY(SELECT DISTINCT coalesce(g.rolname::text, 'public') \
             FROM pg_catalog.aclexplode(c.relacl) acl \
             LEFT JOIN pg_catalog.pg_roles g ON g.oid = acl.grantee \
             WHERE acl.grantee <> c.relowner ORDER BY 1) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('v', 'm') AND ",
    own_relations!(),
    " ORDER BY n.nspname, c.relname"
);

/// Schema, name, arguments, language, security definer, body, relations used.
///
/// What is written in C keeps no text; of a body between BEGIN ATOMIC and END the server keeps
/// what it depends on.
pub(super) const ROUTINES: &str = "\
    SELECT n.nspname::text, p.proname::text, \
      pg_catalog.pg_get_function_identity_arguments(p.oid), l.lanname::text, p.prosecdef, \
      CASE WHEN l.lanname IN ('c', 'internal') THEN '' ELSE p.prosrc END, \
      ARRAY(SELECT DISTINCT d.refobjid FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
              AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
              AND d.deptype = 'n') \
    FROM pg_catalog.pg_proc p \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
        WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid \
          AND e.deptype = 'e') \
    ORDER BY 1, 2, 3";

/// Name, superuser, BYPASSRLS, roles it is a member of.
pub(super) const ROLES: &str = "\
    SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, \
      ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
            WHERE m.member = r.oid ORDER BY 1) \
    FROM pg_catalog.pg_roles r ORDER BY 1";

/// Roles with a session in this database.
pub(super) const CONNECTED: &str = "\
    SELECT DISTINCT usename::text FROM pg_catalog.pg_stat_activity \
    WHERE datname = pg_catalog.current_database() AND usename IS NOT NULL \
      AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend' \
    ORDER BY 1";
