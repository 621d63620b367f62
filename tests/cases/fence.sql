-- Rewrite mode with fences, under `evaluation_order = "refuse"`: a reference on whose rows an
-- expression could run too early is bound behind OFFSET 0.

--@ case: a cast beside the predicate that is there
--@ fence
--@ verdict: refuse early-evaluation
--@ rewrite: SELECT sku FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND price::int > 5
SELECT sku FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND price::int > 5;

--@ case: a cast without any predicate
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT p.sku FROM (SELECT * FROM ONLY public.org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS p WHERE p.price::int > 5 OR 100 / p.stock > 1 ORDER BY 1
SELECT p.sku FROM ONLY public.org_products AS p WHERE p.price::int > 5 OR 100 / p.stock > 1 ORDER BY 1;

--@ case: only the table that is seen too early
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT o.number, c.name FROM org_orders o LEFT JOIN (SELECT * FROM org_customers WHERE org_customers.organization_id = {A} AND org_customers.deleted_at IS NULL OFFSET 0) c ON c.id = o.customer_id AND to_char(c.created_at, 'YYYY') = '2026' WHERE o.organization_id = {A} AND o.deleted_at IS NULL
SELECT o.number, c.name FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id AND to_char(c.created_at, 'YYYY') = '2026';

--@ case: both, where an expression sees both
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT o.number FROM (SELECT * FROM org_orders WHERE org_orders.organization_id = {A} AND org_orders.deleted_at IS NULL OFFSET 0) o JOIN (SELECT * FROM org_customers WHERE org_customers.organization_id = {A} AND org_customers.deleted_at IS NULL OFFSET 0) c ON c.id = o.customer_id WHERE (o.total + c.balance)::int > 0
SELECT o.number FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE (o.total + c.balance)::int > 0;

--@ case: inside a derived table that is no barrier
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT q.sku FROM (SELECT sku, price FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products) q WHERE q.price::int > 5
SELECT q.sku FROM (SELECT sku, price FROM org_products) q WHERE q.price::int > 5;

--@ case: inside a CTE, used through a derived table
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: WITH c AS (SELECT * FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products) SELECT q.sku FROM (SELECT * FROM c) q WHERE q.price::int > 5
WITH c AS (SELECT * FROM org_products) SELECT q.sku FROM (SELECT * FROM c) q WHERE q.price::int > 5;

--@ case: TABLE in a CTE
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: WITH c AS (SELECT * FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products) SELECT c.sku FROM c WHERE c.price::int > 5
WITH c AS (TABLE org_products) SELECT c.sku FROM c WHERE c.price::int > 5;

--@ case: both arms of a union
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT u.n FROM (SELECT sku AS n, price AS p FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products UNION ALL SELECT status, total FROM (SELECT * FROM org_orders WHERE org_orders.organization_id = {A} AND org_orders.deleted_at IS NULL OFFSET 0) AS org_orders) u WHERE u.p::int > 5
SELECT u.n FROM (SELECT sku AS n, price AS p FROM org_products UNION ALL SELECT status, total FROM org_orders) u WHERE u.p::int > 5;

--@ case: a column that a derived table computes
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT q.n FROM (SELECT price::int AS n FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products) q WHERE q.n > 5
SELECT q.n FROM (SELECT price::int AS n FROM org_products) q WHERE q.n > 5;

--@ case: a condition on groups that PostgreSQL moves below them
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT price, count(*) FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products GROUP BY price HAVING price::int > 5 AND count(*) > 0
SELECT price, count(*) FROM org_products GROUP BY price HAVING price::int > 5 AND count(*) > 0;

--@ case: in a subquery that becomes a join
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT c.name FROM org_customers c WHERE c.balance IN (SELECT p.price::int FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) p) AND c.organization_id = {A} AND c.deleted_at IS NULL
SELECT c.name FROM org_customers c WHERE c.balance IN (SELECT p.price::int FROM org_products p);

--@ case: in EXISTS, of the query outside too
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT c.name FROM (SELECT * FROM org_customers WHERE org_customers.organization_id = {A} AND org_customers.deleted_at IS NULL OFFSET 0) c WHERE EXISTS (SELECT 1 FROM org_orders o WHERE o.customer_id = c.id AND to_char(c.created_at, 'YYYY') = '2026' AND o.organization_id = {A} AND o.deleted_at IS NULL)
SELECT c.name FROM org_customers c WHERE EXISTS (SELECT 1 FROM org_orders o WHERE o.customer_id = c.id AND to_char(c.created_at, 'YYYY') = '2026');

--@ case: what an UPDATE reads
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: UPDATE org_order_items i SET remark = 'dear' FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) p WHERE p.id = i.product_id AND p.price::int > 5 AND i.organization_id = {A} AND i.deleted_at IS NULL
UPDATE org_order_items i SET remark = 'dear' FROM org_products p WHERE p.id = i.product_id AND p.price::int > 5;

--@ case: column aliases
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: SELECT p.c FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS p (a, b, c) WHERE p.price::int > 5
SELECT p.c FROM org_products AS p (a, b, c) WHERE p.price::int > 5;

--@ case: the value of another tenant beside a fence finds nothing
--@ fence
--@ verdict: refuse early-evaluation, foreign-tenant
--@ rewrite: SELECT sku FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) AS org_products WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL AND price::int > 5
SELECT sku FROM org_products WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL AND price::int > 5;

--@ case: the target of an UPDATE
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
UPDATE org_products SET stock = 1 WHERE price::int = 10;

--@ case: the target of a DELETE
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
DELETE FROM org_notes n WHERE to_char(n.created_at, 'YYYY') = '2026';

--@ case: rows that are locked
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
SELECT sku FROM org_products WHERE price::int > 5 FOR UPDATE;

--@ case: a sample
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
SELECT sku FROM org_products TABLESAMPLE SYSTEM (100) WHERE price::int > 5;

--@ case: system columns
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
SELECT ctid, sku FROM org_products WHERE price::int > 5;

--@ case: columns qualified by a table and its schema
--@ fence
--@ verdict: refuse early-evaluation, unbound-tenant, visible-deleted
--@ rewrite: refuse
SELECT public.org_products.sku FROM public.org_products WHERE public.org_products.price::int > 5;

--@ case: behind the client's own fence
--@ fence
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT q.sku FROM (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL OFFSET 0) q WHERE q.price::int > 5
SELECT q.sku FROM (SELECT * FROM org_products OFFSET 0) q WHERE q.price::int > 5;

--@ case: an aggregate is computed after the filter
--@ fence
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT sku FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL GROUP BY sku HAVING sum(price::int) > 5
SELECT sku FROM org_products GROUP BY sku HAVING sum(price::int) > 5;
