-- What runs SQL text, reads beside the guard, or shows other tenants' values without naming a table.

--@ case: DO
--@ verdict: refuse opaque-sql
DO $$ BEGIN DELETE FROM org_notes; END $$;

--@ case: DO in another language
--@ verdict: refuse opaque-sql
DO LANGUAGE plpgsql 'BEGIN NULL; END';

--@ case: CALL
--@ verdict: refuse opaque-sql
CALL purge('11111111-1111-4111-8111-111111111111');

--@ case: a function with a body of text
--@ verdict: refuse opaque-sql
CREATE FUNCTION pick() RETURNS SETOF text LANGUAGE sql AS 'SELECT name FROM org_products';

--@ case: a function replaced
--@ verdict: refuse opaque-sql
CREATE OR REPLACE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';

--@ case: a procedure
--@ verdict: refuse opaque-sql
CREATE PROCEDURE purge() LANGUAGE sql AS 'DELETE FROM org_notes';

--@ case: an operator
--@ verdict: refuse opaque-sql
CREATE OPERATOR public.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = pg_catalog.uuid_ne);

--@ case: a type
--@ verdict: refuse opaque-sql
CREATE TYPE pg_temp.uuid AS (a int);

--@ case: a cast
--@ verdict: refuse opaque-sql
CREATE CAST (text AS uuid) WITH INOUT AS IMPLICIT;

--@ case: an extension
--@ verdict: refuse opaque-sql
CREATE EXTENSION dblink;

--@ case: a query as text to XML
--@ verdict: refuse opaque-sql
SELECT query_to_xml('SELECT name FROM org_products', true, false, '');

--@ case: a table as XML
--@ verdict: refuse opaque-sql
SELECT table_to_xml('org_products'::regclass, true, false, '');

--@ case: a schema as XML, qualified and quoted
--@ verdict: refuse opaque-sql
SELECT "pg_catalog"."schema_to_xml"('public', true, false, '');

--@ case: a database as XML
--@ verdict: refuse opaque-sql
SELECT database_to_xml(true, false, '');

--@ case: a query as text in a condition of a bound query
--@ verdict: refuse opaque-sql
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND query_to_xml('TABLE org_products', true, false, '')::text LIKE '%B rotor%';

--@ case: a query as text in FROM
--@ verdict: refuse opaque-sql
SELECT word FROM ts_stat('SELECT to_tsvector(name) FROM org_products');

--@ case: a query as text for ts_rewrite
--@ verdict: refuse opaque-sql
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery');

--@ case: a query as text over a connection
--@ verdict: refuse opaque-sql
SELECT * FROM dblink('dbname=shop', 'SELECT name FROM org_products') AS t (name text);

--@ case: a function of the application
--@ verdict: refuse opaque-sql
SELECT all_products();

--@ case: a function of the application in FROM
--@ verdict: refuse opaque-sql
SELECT p.name FROM products_of('11111111-1111-4111-8111-111111111111') p;

--@ case: a function of another schema with a known name
--@ verdict: refuse opaque-sql
SELECT archive.lower(name) FROM countries;

--@ case: a function in a default position of an INSERT
--@ verdict: refuse opaque-sql
INSERT INTO org_notes (id, organization_id, body) VALUES (next_id(), '11111111-1111-4111-8111-111111111111', 'x');

--@ case: known functions over a bound table
--@ verdict: admit
SELECT lower(name), coalesce(barcode, 'none'), round(price, 1), to_char(created_at, 'YYYY'), length(name) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name ILIKE 'a%' AND abs(stock) > 0;

--@ case: known functions in FROM
--@ verdict: admit
SELECT k FROM jsonb_object_keys('{"a": 1}'::jsonb) k, generate_series(1, 2);

--@ case: a server file
--@ verdict: refuse opaque-sql
SELECT pg_read_file('PG_VERSION');

--@ case: large objects
--@ verdict: refuse opaque-sql
SELECT lo_get(16400);

--@ case: a volatile function over a guarded column in WHERE
--@ verdict: refuse opaque-sql
--@ note: it may run on rows that the tenant predicate would have kept out
SELECT count(*) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND pg_notify('names', name) IS NOT NULL;

--@ case: the same in ON
--@ verdict: refuse opaque-sql
--@ note: it may run on rows that the tenant predicate would have kept out
SELECT count(*) FROM org_products p JOIN plans c ON pg_notify('names', p.name) IS NOT NULL WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: a volatile function over no column
--@ verdict: admit
SELECT count(*) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND random() >= 0;

--@ case: an advisory lock
--@ verdict: admit
SELECT pg_advisory_xact_lock(17);

--@ case: column statistics
--@ verdict: refuse statistics-leak
SELECT attname, most_common_vals FROM pg_stats WHERE tablename = 'org_products';

--@ case: column statistics, qualified
--@ verdict: refuse statistics-leak
SELECT stavalues1 FROM pg_catalog.pg_statistic;

--@ case: column statistics in a subquery
--@ verdict: refuse statistics-leak
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM pg_stats_ext s WHERE s.tablename = 'org_products');

--@ case: other sessions' statements
--@ verdict: refuse statistics-leak
SELECT query FROM pg_stat_activity WHERE state = 'active';

--@ case: introspection of columns
--@ verdict: admit
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'org_products' ORDER BY ordinal_position;

--@ case: introspection of the catalogue
--@ verdict: admit
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'org_products'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;

--@ case: introspection of tables, as psql does
--@ verdict: admit
SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2;

--@ case: what a driver asks first
--@ verdict: admit
SELECT version(), current_user, current_schema();

--@ case: a query plan with its costs
--@ verdict: refuse statistics-leak
EXPLAIN SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a query plan that was run, with its costs
--@ verdict: refuse statistics-leak
EXPLAIN ANALYZE SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a query plan without costs
--@ verdict: admit
EXPLAIN (COSTS OFF) SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a query plan of shared tables
--@ verdict: admit
EXPLAIN SELECT code FROM plans;

--@ case: costs switched on again
--@ verdict: refuse statistics-leak
EXPLAIN (COSTS OFF, VERBOSE, COSTS ON) SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;
