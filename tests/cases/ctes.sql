-- WITH: every use of a CTE must be filtered if the CTE is not.

--@ case: filtered inside
--@ verdict: admit
WITH live AS (SELECT id, name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT name FROM live ORDER BY 1;

--@ case: not filtered
--@ verdict: refuse unbound-tenant, visible-deleted
WITH live AS (SELECT id, name FROM org_products) SELECT name FROM live ORDER BY 1;

--@ case: its one use filters
--@ verdict: admit
WITH p AS (SELECT * FROM org_products) SELECT name FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: every use filters
--@ verdict: admit
WITH p AS MATERIALIZED (SELECT * FROM org_products) SELECT a.name, b.name FROM p a JOIN p b ON b.price = a.price AND b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL;

--@ case: one of two uses filters
--@ verdict: refuse unbound-tenant, visible-deleted
WITH p AS (SELECT * FROM org_products) SELECT a.name FROM p a WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND a.price < (SELECT avg(price) FROM p);

--@ case: the use filters with an OR
--@ verdict: refuse unbound-tenant, visible-deleted
WITH p AS NOT MATERIALIZED (SELECT * FROM org_products) SELECT name FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL OR price > 1000;

--@ case: never used and not filtered
--@ verdict: refuse unbound-tenant, visible-deleted
--@ note: PostgreSQL does not run it; a false alarm that nobody writes
WITH p AS (SELECT * FROM org_products) SELECT 1;

--@ case: a CTE over a CTE, filtered in the second
--@ verdict: admit
WITH p AS (SELECT * FROM org_products), q AS (SELECT name, stock FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT name FROM q WHERE stock > 0;

--@ case: a CTE over a CTE, filtered in none
--@ verdict: refuse unbound-tenant, visible-deleted
WITH p AS (SELECT * FROM org_products), q AS (SELECT name, stock FROM p) SELECT name FROM q WHERE stock > 0;

--@ case: columns named by the CTE
--@ verdict: admit
WITH p (n, t, d) AS (SELECT name, organization_id, deleted_at FROM org_products) SELECT n FROM p WHERE t = '11111111-1111-4111-8111-111111111111' AND d IS NULL;

--@ case: columns named by the CTE, another one as the tenant
--@ verdict: refuse unbound-tenant
WITH p (n, x, organization_id, deleted_at) AS (SELECT name, organization_id, supplier_id, deleted_at FROM org_products) SELECT n FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a constant named as the tenant
--@ verdict: refuse unbound-tenant, visible-deleted
WITH p (n, organization_id, deleted_at) AS (SELECT name, '11111111-1111-4111-8111-111111111111'::uuid, NULL::timestamptz FROM org_products) SELECT n FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a CTE inside a subquery
--@ verdict: admit
SELECT c.code FROM countries c WHERE c.code IN (WITH r AS (SELECT region_id FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) SELECT g.country_code FROM regions g JOIN r ON r.region_id = g.id);

--@ case: a loose CTE inside a subquery
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT c.code FROM countries c WHERE c.code IN (WITH r AS (SELECT region_id FROM org_customers) SELECT g.country_code FROM regions g JOIN r ON r.region_id = g.id);

--@ case: an aggregate in a CTE, filtered inside
--@ verdict: admit
WITH t AS (SELECT customer_id, sum(total) AS total FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY customer_id) SELECT c.name, t.total FROM org_customers c JOIN t ON t.customer_id = c.id WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: an aggregate in a CTE, filtered nowhere
--@ verdict: refuse unbound-tenant, visible-deleted
WITH t AS (SELECT customer_id, sum(total) AS total FROM org_orders GROUP BY customer_id) SELECT c.name, t.total FROM org_customers c JOIN t ON t.customer_id = c.id WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: LIMIT in a CTE, filtered outside
--@ verdict: refuse unbound-tenant, visible-deleted
WITH p AS (SELECT * FROM org_products ORDER BY price DESC LIMIT 4) SELECT name FROM p WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a bound write in a CTE
--@ verdict: admit
WITH gone AS (DELETE FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND subject_id IS NULL RETURNING id) SELECT count(*) FROM gone;

--@ case: a loose write in a CTE beside a bound query
--@ verdict: refuse unbound-tenant, visible-deleted
WITH gone AS (DELETE FROM org_notes WHERE subject_id IS NULL RETURNING id) SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a loose write in a CTE that nobody reads
--@ verdict: refuse unbound-tenant, visible-deleted
WITH w AS (UPDATE org_products SET stock = 0) SELECT 1;

--@ case: a write filtered only where its rows are read
--@ verdict: refuse unbound-tenant, visible-deleted
WITH w AS (UPDATE org_products SET stock = 0 RETURNING *) SELECT name FROM w WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: rows moved from one guarded table to another
--@ verdict: admit
WITH moved AS (DELETE FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label = 'new' RETURNING organization_id, label) INSERT INTO org_notes (id, organization_id, body) SELECT 'cccccccc-0000-4000-8000-000000000001', organization_id, label FROM moved;

--@ case: rows moved, their tenant lost
--@ verdict: refuse foreign-insert
WITH moved AS (DELETE FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label = 'new' RETURNING label) INSERT INTO org_notes (id, organization_id, body) SELECT g.id, g.id, label FROM moved, organizations g;

--@ case: an inserted row read back
--@ verdict: admit
WITH i AS (INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'fresh') RETURNING id, organization_id) SELECT i.id, o.number FROM i JOIN org_orders o ON o.organization_id = i.organization_id WHERE o.deleted_at IS NULL;

--@ case: a CTE in front of an UPDATE
--@ verdict: admit
WITH big AS (SELECT id, organization_id FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND total > 1) UPDATE org_order_items i SET remark = 'big' FROM big WHERE i.order_id = big.id AND i.organization_id = big.organization_id AND i.deleted_at IS NULL;

--@ case: a CTE in front of a DELETE that is loose
--@ verdict: refuse unbound-tenant
WITH big AS (SELECT id FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND total > 1) DELETE FROM org_order_items i USING big WHERE i.order_id = big.id AND i.deleted_at IS NULL;
