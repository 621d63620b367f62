-- Statements that are no queries: transactions, DDL, COPY, maintenance.

--@ case: BEGIN
--@ verdict: admit
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

--@ case: COMMIT
--@ verdict: admit
COMMIT AND CHAIN;

--@ case: a savepoint named like a guarded table
--@ verdict: admit
SAVEPOINT org_tags;

--@ case: back to a savepoint
--@ verdict: admit
ROLLBACK TO SAVEPOINT org_tags;

--@ case: a notification
--@ verdict: admit
NOTIFY org_orders, 'changed';

--@ case: TRUNCATE of a guarded table
--@ verdict: refuse guarded-ddl
TRUNCATE org_notes;

--@ case: TRUNCATE of several, one guarded
--@ verdict: refuse guarded-ddl
TRUNCATE TABLE orgunits, ONLY public.org_notes RESTART IDENTITY;

--@ case: TRUNCATE of a shared table
--@ verdict: admit
TRUNCATE orgunits;

--@ case: TRUNCATE that cascades
--@ verdict: refuse guarded-ddl
TRUNCATE organizations CASCADE;

--@ case: LOCK of a guarded table
--@ verdict: refuse guarded-ddl
LOCK TABLE org_orders IN ACCESS EXCLUSIVE MODE;

--@ case: DROP of a guarded table
--@ verdict: refuse guarded-ddl
DROP TABLE IF EXISTS org_tags;

--@ case: DROP that cascades
--@ verdict: refuse guarded-ddl
DROP TABLE plans CASCADE;

--@ case: DROP of a schema
--@ verdict: refuse guarded-ddl
DROP SCHEMA archive;

--@ case: a column added
--@ verdict: refuse guarded-ddl
ALTER TABLE org_notes ADD COLUMN extra text;

--@ case: row security switched off
--@ verdict: refuse guarded-ddl
ALTER TABLE ONLY org_notes DISABLE ROW LEVEL SECURITY;

--@ case: a guarded table renamed
--@ verdict: refuse guarded-ddl
ALTER TABLE org_notes RENAME TO notes;

--@ case: the tenant column renamed
--@ verdict: refuse guarded-ddl
ALTER TABLE org_notes RENAME COLUMN subject_id TO organization_id;

--@ case: a shared table renamed
--@ verdict: refuse guarded-ddl
ALTER TABLE plans RENAME TO tariffs;

--@ case: the tenant column's type changed
--@ verdict: refuse guarded-ddl
ALTER TABLE org_notes ALTER COLUMN organization_id TYPE uuid USING '11111111-1111-4111-8111-111111111111'::uuid;

--@ case: an index
--@ verdict: refuse guarded-ddl
CREATE INDEX notes_by_body ON org_notes (body);

--@ case: an index on a shared table
--@ verdict: admit
CREATE INDEX plans_by_name ON plans (name);

--@ case: a policy
--@ verdict: refuse guarded-ddl
CREATE POLICY open ON org_notes USING (true);

--@ case: a trigger
--@ verdict: refuse guarded-ddl, opaque-sql
CREATE TRIGGER copy_out AFTER INSERT ON org_notes FOR EACH ROW EXECUTE FUNCTION copy_out();

--@ case: a rule
--@ verdict: refuse guarded-ddl, opaque-sql
CREATE RULE copy_out AS ON INSERT TO org_notes DO ALSO NOTIFY changed;

--@ case: a view over a guarded table
--@ verdict: refuse guarded-ddl
CREATE VIEW everything AS SELECT * FROM org_notes;

--@ case: a materialized view over a guarded table
--@ verdict: refuse guarded-ddl
CREATE MATERIALIZED VIEW everything AS SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a table from a loose query
--@ verdict: refuse unbound-tenant, visible-deleted
CREATE TEMP TABLE kept AS SELECT * FROM org_products;

--@ case: a table from TABLE
--@ verdict: refuse unbound-tenant, visible-deleted
CREATE TABLE kept AS TABLE org_products;

--@ case: a table from shared data
--@ verdict: admit
CREATE TEMP TABLE kept AS SELECT code FROM plans;

--@ case: a table that inherits
--@ verdict: refuse guarded-ddl, opaque-sql
CREATE TABLE child () INHERITS (org_notes);

--@ case: a table LIKE a guarded one
--@ verdict: refuse guarded-ddl
CREATE TABLE copy (LIKE org_notes);

--@ case: a new guarded table
--@ verdict: refuse guarded-ddl
CREATE TABLE org_things (id uuid PRIMARY KEY, organization_id uuid NOT NULL);

--@ case: a new shared table
--@ verdict: admit
CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL DEFAULT 'none');

--@ case: a temporary table
--@ verdict: admit
CREATE TEMPORARY TABLE picked (id int) ON COMMIT DROP;

--@ case: a comment on a guarded table
--@ verdict: refuse guarded-ddl
COMMENT ON TABLE org_notes IS 'x';

--@ case: privileges of a guarded table
--@ verdict: refuse guarded-ddl
GRANT SELECT ON org_notes TO PUBLIC;

--@ case: privileges of every table
--@ verdict: refuse guarded-ddl
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;

--@ case: VACUUM of a guarded table
--@ verdict: refuse guarded-ddl
VACUUM org_notes;

--@ case: VACUUM of a shared table
--@ verdict: admit
VACUUM ANALYZE plans;

--@ case: statistics of a guarded table
--@ verdict: refuse guarded-ddl
ANALYZE org_notes;

--@ case: extended statistics
--@ verdict: refuse guarded-ddl
CREATE STATISTICS correlated ON sku, name FROM org_products;

--@ case: COPY of a guarded table to the client
--@ verdict: refuse guarded-copy
COPY org_notes TO STDOUT;

--@ case: COPY of some columns of a guarded table
--@ verdict: refuse guarded-copy
COPY public.org_notes (id, body) TO STDOUT WITH (FORMAT csv, HEADER);

--@ case: COPY into a guarded table
--@ verdict: refuse guarded-copy
COPY org_notes (id, organization_id, body) FROM STDIN;

--@ case: COPY of a loose query
--@ verdict: refuse unbound-tenant, visible-deleted
COPY (SELECT body FROM org_notes) TO STDOUT;

--@ case: COPY of a bound query
--@ verdict: admit
COPY (SELECT body FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id) TO STDOUT;

--@ case: COPY of TABLE
--@ verdict: refuse unbound-tenant, visible-deleted
COPY (TABLE org_notes) TO STDOUT WITH CSV;

--@ case: COPY of a loose write
--@ verdict: refuse unbound-tenant, visible-deleted
COPY (DELETE FROM org_notes WHERE id = 'b5000000-0000-4000-8000-000000000001' RETURNING body) TO STDOUT;

--@ case: COPY of a shared table
--@ verdict: admit
COPY plans TO STDOUT;

--@ case: COPY into a shared table
--@ verdict: admit
COPY orgunits FROM STDIN;

--@ case: COPY with a loose subquery in WHERE
--@ verdict: refuse guarded-ddl, opaque-sql
COPY orgunits FROM STDIN WHERE name IN (SELECT name FROM org_products);

--@ case: COPY to a program
--@ verdict: refuse opaque-sql
COPY plans TO PROGRAM 'cat';

--@ case: COPY to a file
--@ verdict: refuse opaque-sql
COPY (SELECT 1) TO '/tmp/one';

--@ case: statements of an honest string
--@ verdict: admit
--@ string
BEGIN; UPDATE org_products SET stock = stock - 1 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-1'; INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'sold'); COMMIT;

--@ case: one statement of the string is loose
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
BEGIN; UPDATE org_products SET stock = stock - 1 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-1'; DELETE FROM org_notes; COMMIT;

--@ case: the last statement of the string is loose
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL; SELECT label FROM org_tags

--@ case: empty statements
--@ verdict: admit
--@ string
;;SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;;

--@ case: each statement of the string bound to its own tenant
--@ verdict: refuse foreign-tenant
--@ string
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL; SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: DDL behind an honest statement
--@ verdict: refuse guarded-ddl
--@ string
SELECT 1; DROP TABLE org_notes;

--@ case: a view over shared tables
--@ verdict: admit
CREATE OR REPLACE TEMP VIEW cheap (code) WITH (security_barrier) AS SELECT code FROM plans WHERE price < 10 WITH LOCAL CHECK OPTION;

--@ case: a materialized view over shared tables
--@ verdict: admit
CREATE MATERIALIZED VIEW IF NOT EXISTS cheap AS (SELECT code FROM plans) WITH NO DATA;

--@ case: a view over a guarded table, bound to one tenant
--@ verdict: refuse guarded-ddl
CREATE VIEW mine AS SELECT * FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a view with the name of a guarded table
--@ verdict: refuse guarded-ddl
CREATE VIEW org_notes AS SELECT code FROM plans;

--@ case: a view over a guarded table in a subquery
--@ verdict: refuse guarded-ddl
CREATE VIEW plans2 AS SELECT code, (SELECT count(*) FROM org_notes) FROM plans;

--@ case: a view over a routine that is not known
--@ verdict: refuse opaque-sql
CREATE VIEW secrets AS SELECT * FROM f_exec('SELECT 1');

--@ case: a recursive view
--@ verdict: refuse guarded-ddl
CREATE RECURSIVE VIEW n (i) AS VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9;

--@ case: SELECT INTO, bound
--@ verdict: admit
SELECT id, body INTO TEMP TABLE kept FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: SELECT INTO a guarded name
--@ verdict: refuse guarded-ddl
SELECT code INTO org_codes FROM plans;

--@ case: SELECT INTO behind WITH
--@ verdict: refuse unbound-tenant, visible-deleted
WITH n AS (SELECT body FROM org_notes) SELECT body INTO kept FROM n;

--@ case: SELECT INTO in a subquery
--@ verdict: refuse not-understood
SELECT * FROM (SELECT code INTO kept FROM plans) s;

--@ case: CREATE TABLE AS, bound
--@ verdict: admit
CREATE TABLE kept AS SELECT id, body FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL WITH NO DATA;

--@ case: CALL of a routine that is not known
--@ verdict: refuse opaque-sql
CALL purge('a', now());

--@ case: CALL with more behind it
--@ verdict: refuse opaque-sql, unbound-tenant, visible-deleted
CALL purge('a') FROM org_notes;

--@ case: a schema with elements
--@ verdict: refuse guarded-ddl
CREATE SCHEMA extra CREATE TABLE things (id int) CREATE VIEW v AS SELECT 1;

--@ case: a schema
--@ verdict: admit
CREATE SCHEMA IF NOT EXISTS extra;

--@ case: VACUUM that reports on every table
--@ verdict: refuse guarded-ddl
VACUUM (VERBOSE, ANALYZE);

--@ case: ANALYZE that reports on every table
--@ verdict: refuse guarded-ddl
ANALYZE VERBOSE;

--@ case: VACUUM that reports on a shared table
--@ verdict: admit
VACUUM (VERBOSE) plans (code);

--@ case: a role dropped
--@ verdict: refuse session-escape
DROP ROLE joe;

--@ case: default privileges
--@ verdict: refuse guarded-ddl
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;

--@ case: every table of a tablespace
--@ verdict: refuse guarded-ddl
ALTER TABLE ALL IN TABLESPACE slow SET TABLESPACE fast;

--@ case: a publication
--@ verdict: refuse guarded-ddl
CREATE PUBLICATION everything FOR ALL TABLES;

--@ case: a materialized view refreshed
--@ verdict: refuse opaque-sql
REFRESH MATERIALIZED VIEW CONCURRENTLY totals;

--@ case: EXPLAIN of CREATE TABLE AS
--@ verdict: refuse unbound-tenant, visible-deleted
EXPLAIN (COSTS OFF) CREATE TABLE kept AS SELECT * FROM org_notes;

--@ case: EXPLAIN of a view
--@ verdict: refuse guarded-ddl
EXPLAIN (COSTS OFF) CREATE MATERIALIZED VIEW kept AS SELECT * FROM org_notes;

--@ case: EXPLAIN of CREATE TABLE AS over shared tables
--@ verdict: admit
EXPLAIN (COSTS OFF) CREATE TABLE kept AS SELECT * FROM plans;
