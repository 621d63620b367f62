-- Derived tables: which filters of the outside reach the inside.

--@ case: filtered inside
--@ verdict: admit
SELECT s.name FROM (SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) s ORDER BY 1;

--@ case: not filtered at all
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name FROM (SELECT name FROM org_customers) s ORDER BY 1;

--@ case: filtered outside through *
--@ verdict: admit
SELECT s.name FROM (SELECT * FROM org_customers) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside by an OR
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name FROM (SELECT * FROM org_customers) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL OR s.balance > 0;

--@ case: tenant inside, soft delete outside
--@ verdict: admit
SELECT s.name FROM (SELECT name, deleted_at FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111') s WHERE s.deleted_at IS NULL;

--@ case: filtered outside through DISTINCT
--@ verdict: admit
SELECT s.balance FROM (SELECT DISTINCT organization_id, deleted_at, balance FROM org_customers WHERE balance > 0) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, LIMIT inside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name FROM (SELECT * FROM org_customers ORDER BY balance DESC LIMIT 3) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered inside, LIMIT inside
--@ verdict: admit
SELECT s.name FROM (SELECT * FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY balance DESC, id LIMIT 3) s;

--@ case: filtered outside, OFFSET inside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name FROM (SELECT * FROM org_customers ORDER BY balance OFFSET 2) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, FETCH FIRST inside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name FROM (SELECT * FROM org_customers ORDER BY balance DESC FETCH FIRST 2 ROWS ONLY) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, DISTINCT ON without the tenant
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.sku, s.name FROM (SELECT DISTINCT ON (sku) * FROM org_products ORDER BY sku, price DESC) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, DISTINCT ON with the tenant and soft delete
--@ verdict: admit
SELECT s.price, s.name FROM (SELECT DISTINCT ON (organization_id, deleted_at, price) * FROM org_products ORDER BY organization_id, deleted_at, price, id) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, a window over everything
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name, s.n FROM (SELECT *, count(*) OVER () AS n FROM org_products) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, a window over the tenant only
--@ verdict: refuse visible-deleted
SELECT s.name, s.n FROM (SELECT *, count(*) OVER (PARTITION BY organization_id) AS n FROM org_products) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside, a window over tenant and soft delete
--@ verdict: admit
SELECT s.name, s.n FROM (SELECT *, count(*) OVER (PARTITION BY organization_id, deleted_at) AS n FROM org_products) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: a named window
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.name, s.n FROM (SELECT *, rank() OVER w AS n FROM org_products WINDOW w AS (ORDER BY price)) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside through GROUP BY of both columns
--@ verdict: admit
SELECT s.n, s.total FROM (SELECT organization_id, deleted_at, count(*) AS n, sum(total) AS total FROM org_orders GROUP BY organization_id, deleted_at) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside through GROUP BY of the tenant
--@ verdict: refuse visible-deleted
--@ note: returns no deleted row, but loses groups that hold one
SELECT s.n FROM (SELECT organization_id, max(deleted_at) AS deleted_at, count(*) AS n FROM org_orders GROUP BY organization_id, status) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: filtered outside an aggregate without GROUP BY
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.n FROM (SELECT count(*) AS n, min(organization_id::text)::uuid AS organization_id, NULL::timestamptz AS deleted_at FROM org_orders) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: a derived table with a subquery that is loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.k FROM (SELECT organization_id, deleted_at, (SELECT count(*) FROM org_notes) AS k FROM org_orders) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: a derived table with a subquery bound by its row
--@ verdict: admit
SELECT s.k FROM (SELECT o.organization_id, o.deleted_at, (SELECT count(*) FROM org_notes n WHERE n.organization_id = o.organization_id AND n.deleted_at IS NULL) AS k FROM org_orders o) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: two levels, filtered outermost
--@ verdict: admit
SELECT b.name FROM (SELECT * FROM (SELECT * FROM org_products WHERE stock > 0) a) b WHERE b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL;

--@ case: two levels, one renames a column on the way
--@ verdict: refuse unbound-tenant
SELECT b.number FROM (SELECT a.number, a.partner_id AS organization_id, a.deleted_at FROM (SELECT * FROM org_orders) a) b WHERE b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL;

--@ case: a join inside, both sides filtered through the outside
--@ verdict: admit
SELECT s.number FROM (SELECT o.number, o.organization_id AS oo, o.deleted_at AS od, c.organization_id AS co, c.deleted_at AS cd FROM org_orders o JOIN org_customers c ON c.id = o.customer_id) s WHERE s.oo = '11111111-1111-4111-8111-111111111111' AND s.od IS NULL AND s.co = '11111111-1111-4111-8111-111111111111' AND s.cd IS NULL;

--@ case: a join inside, one side filtered through the outside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.number FROM (SELECT o.number, o.organization_id, o.deleted_at, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: joined to a bound table on the tenant
--@ verdict: admit
SELECT o.number, s.n FROM org_orders o JOIN (SELECT organization_id, order_id, count(*) AS n FROM org_order_items WHERE deleted_at IS NULL GROUP BY organization_id, order_id) s ON s.order_id = o.id AND s.organization_id = o.organization_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: joined to a bound table on the key only
--@ verdict: refuse unbound-tenant
SELECT o.number, s.n FROM org_orders o JOIN (SELECT order_id, count(*) AS n FROM org_order_items WHERE deleted_at IS NULL GROUP BY order_id) s ON s.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: OFFSET 0 as a fence, filtered inside
--@ verdict: admit
SELECT s.name FROM (SELECT * FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL OFFSET 0) s WHERE s.price > 5;

--@ case: a derived VALUES beside nothing guarded
--@ verdict: admit
SELECT v.n FROM (VALUES (1), (2)) v (n);

--@ case: the outer filter is about another derived table
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT a.name, b.label FROM (SELECT * FROM org_products) a, (SELECT * FROM org_tags) b WHERE b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL;

--@ case: a star qualified by the database, of more than one column
--@ verdict: refuse unbound-tenant
SELECT p.name FROM (SELECT raw.public.memberships.*, '11111111-1111-4111-8111-111111111111'::uuid FROM memberships) AS d (a, org) JOIN org_products p ON p.organization_id = d.org AND p.deleted_at IS NULL;
