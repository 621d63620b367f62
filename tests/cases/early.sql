-- Order of evaluation, under `evaluation_order = "refuse"`. What row-level security gives is the
-- same for honest data: the difference is what an error shows of rows that are not the tenant's.

--@ case: a cast of a guarded text to a number
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name::int > 0;

--@ case: the same under a setting for the tenant
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE organization_id = current_setting('app.organization_id')::uuid AND deleted_at IS NULL AND name::int > 0;

--@ case: a function that fails on the texts that it does not take
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE to_date(name, 'YYYY') IS NOT NULL AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: in ON
--@ strict
--@ verdict: refuse early-evaluation
SELECT o.number FROM org_orders o JOIN org_customers c ON c.id = o.customer_id AND c.name::int > 0 AND c.organization_id = o.organization_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: behind a derived table that is no barrier
--@ strict
--@ verdict: refuse early-evaluation
SELECT t.sku FROM (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) t WHERE t.name::int > 0;

--@ case: behind a CTE that is no barrier
--@ strict
--@ verdict: refuse early-evaluation
WITH t AS (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT t.sku FROM t WHERE t.name::int > 0;

--@ case: in the WHERE of an UPDATE
--@ strict
--@ verdict: refuse early-evaluation
UPDATE org_products SET stock = 1 WHERE name::int = 1 AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a time zone out of a column
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE now() AT TIME ZONE name > '2020-01-01' AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: behind OFFSET 0
--@ strict
--@ verdict: admit
SELECT t.sku FROM (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL OFFSET 0) t WHERE t.sku::text <> 'x' AND length(t.name) > 0 AND t.price::int > 0;

--@ case: behind MATERIALIZED
--@ strict
--@ verdict: admit
WITH t AS MATERIALIZED (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT t.sku FROM t WHERE t.price::int > 0;

--@ case: comparisons, arithmetic and LIKE
--@ strict
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND price * 1.19 > 5 AND name LIKE 'a%' AND coalesce(barcode, '') <> 'x' AND lower(sku) <> 'y';

--@ case: a cast of a constant
--@ strict
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND price > '5'::numeric AND created_at > '2020-01-01'::timestamptz;

--@ case: in the select list, behind the filter
--@ strict
--@ verdict: admit
SELECT price::int, to_char(created_at, 'YYYY') FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a shared table's own columns
--@ strict
--@ verdict: admit
SELECT code FROM plans WHERE price::int > 0;

--@ case: an operator of which nothing is known
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name SIMILAR TO sku;

--@ case: a comparison with ANY or ALL cannot fail either
--@ strict
--@ verdict: admit
SELECT sku FROM org_products p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND price >= ALL (SELECT price FROM org_products q WHERE q.organization_id = '11111111-1111-4111-8111-111111111111' AND q.deleted_at IS NULL) AND sku <> ALL ('{a,b}');

--@ case: a pattern with ANY can
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name ~ ANY ('{a,b}');

--@ case: a CTE behind a derived table
--@ strict
--@ verdict: refuse early-evaluation
WITH t AS (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT q.sku FROM (SELECT * FROM t) q WHERE q.name::int > 0;

--@ case: a column that a derived table computes
--@ strict
--@ verdict: refuse early-evaluation
SELECT q.sku FROM (SELECT sku, name::int AS n FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) q WHERE q.n > 0;

--@ case: the same through a wildcard and another derived table
--@ strict
--@ verdict: refuse early-evaluation
SELECT r.sku FROM (SELECT * FROM (SELECT sku, name::int AS n FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) q) r WHERE r.n > 0;

--@ case: another column beside it
--@ strict
--@ verdict: admit
SELECT q.n FROM (SELECT sku, name::int AS n FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) q WHERE q.sku <> 'x';

--@ case: a computed column behind a fence
--@ strict
--@ verdict: admit
SELECT q.sku FROM (SELECT sku, price::int AS n FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL OFFSET 0) q WHERE q.n > 0;

--@ case: a computed column that a subquery gives to IN
--@ strict
--@ verdict: refuse early-evaluation
SELECT code FROM plans WHERE id IN (SELECT name::int FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: a computed column in USING
--@ strict
--@ verdict: refuse early-evaluation
SELECT plans.code FROM plans JOIN (SELECT name::int AS id FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) q USING (id);

--@ case: HAVING without an aggregate becomes WHERE
--@ strict
--@ verdict: refuse early-evaluation
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY name HAVING name::int > 0;

--@ case: HAVING with an aggregate does not
--@ strict
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY sku HAVING max(price::int) > 0 AND sku <> 'x';

--@ case: a name in a subquery that may be the query's outside
--@ strict
--@ verdict: refuse early-evaluation
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM plans WHERE sku::int > 0);

--@ case: a recursive query is a fence
--@ strict
--@ verdict: admit
WITH RECURSIVE t AS (SELECT id, price FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION SELECT p.id, p.price FROM org_products p JOIN t ON p.id = t.id WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL) SELECT t.id FROM t WHERE t.price::int > 0;

--@ case: VALUES that compute a column of a reference before them
--@ strict
--@ verdict: refuse early-evaluation
SELECT v.x FROM org_products t, LATERAL (VALUES (t.name::int)) v(x) WHERE v.x > 0 AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: VALUES that give a column of a reference before them
--@ strict
--@ verdict: refuse early-evaluation
SELECT v.x FROM org_products t, LATERAL (VALUES (t.name)) v(x) WHERE v.x::int > 0 AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: a query beside that gives a column of a reference before it
--@ strict
--@ verdict: refuse early-evaluation
SELECT v.x FROM org_products t, LATERAL (SELECT t.name) v(x) WHERE v.x::int > 0 AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: a cast of a column by way of a subquery
--@ strict
--@ verdict: refuse early-evaluation
SELECT t.id FROM org_products t WHERE (SELECT t.name)::int > 0 AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: VALUES that give a column behind a fence
--@ strict
--@ verdict: admit
SELECT v.x FROM (SELECT * FROM org_products t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL OFFSET 0) t, LATERAL (VALUES (t.name)) v(x) WHERE v.x::int > 0;
