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
