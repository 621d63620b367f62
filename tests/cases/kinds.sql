-- Kinds of statements and of relations that part of the application world sends.

--@ case: SELECT without FROM
--@ verdict: admit
SELECT 1 + 1 AS two, now() IS NOT NULL AS on_time;

--@ case: VALUES
--@ verdict: admit
VALUES (1, 'a'), (2, 'b');

--@ case: nothing but a comment
--@ verdict: admit
--@ string
/* ping */

--@ case: shared tables joined
--@ verdict: admit
SELECT o.name, p.code FROM organizations o JOIN plans p ON p.id = o.plan_id ORDER BY 1;

--@ case: shared memberships of a user
--@ verdict: admit
SELECT m.organization_id, m.role FROM memberships m WHERE m.user_id = 'c0000000-0000-4000-8000-000000000001' ORDER BY 1;

--@ case: guarded members of a user
--@ verdict: refuse unbound-tenant
--@ note: an organization switcher: bound_by in the configuration allows it for this table
SELECT m.organization_id, m.role FROM org_members m WHERE m.user_id = 'c0000000-0000-4000-8000-000000000001' AND m.deleted_at IS NULL;

--@ case: a page by OFFSET
--@ verdict: admit
SELECT number, status FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY number DESC, id LIMIT 2 OFFSET 1;

--@ case: a page by cursor
--@ verdict: admit
SELECT number, status FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND (number, id) < (4, 'a3000000-0000-4000-8000-000000000004') ORDER BY number DESC, id DESC LIMIT 2;

--@ case: a page by cursor, the tenant in the comparison
--@ verdict: refuse unbound-tenant
SELECT number, status FROM org_orders WHERE deleted_at IS NULL AND (organization_id, number) < ('11111111-1111-4111-8111-111111111111', 4) OR (deleted_at IS NULL AND number > 0) ORDER BY number, id;

--@ case: a search over many columns
--@ verdict: admit
SELECT id, name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND (name ILIKE '%a%' OR email ILIKE '%a%' OR id::text LIKE 'a2%') ORDER BY name;

--@ case: a search over many columns, its parentheses forgotten
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT id, name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name ILIKE '%a%' OR email ILIKE '%b%' ORDER BY name;

--@ case: jsonb operators
--@ verdict: admit
SELECT body FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND meta @> '{"k": 1}' AND meta ->> 'k' = '1' AND meta ? 'k';

--@ case: full text
--@ verdict: admit
SELECT body FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND to_tsvector('simple', body) @@ plainto_tsquery('simple', 'lamp');

--@ case: arrays and ANY over another column
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = ANY (ARRAY['P-1', 'P-7']);

--@ case: dates and intervals
--@ verdict: admit
SELECT date_trunc('day', created_at), count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND created_at > timestamptz '2026-06-01' - interval '1 year' GROUP BY 1;

--@ case: a report of three tables
--@ verdict: admit
SELECT c.name, count(DISTINCT o.id) AS orders, coalesce(sum(i.quantity * i.unit_price), 0) AS value FROM org_customers c LEFT JOIN org_orders o ON o.customer_id = c.id AND o.organization_id = c.organization_id AND o.deleted_at IS NULL LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL GROUP BY c.id, c.name HAVING count(o.id) > 0 ORDER BY value DESC, c.name;

--@ case: a report of three tables, the last one loose
--@ verdict: refuse unbound-tenant
SELECT c.name, count(DISTINCT o.id) AS orders, coalesce(sum(i.quantity * i.unit_price), 0) AS value FROM org_customers c LEFT JOIN org_orders o ON o.customer_id = c.id AND o.organization_id = c.organization_id AND o.deleted_at IS NULL LEFT JOIN org_order_items i ON i.order_id = o.id AND i.deleted_at IS NULL WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL GROUP BY c.id, c.name HAVING count(o.id) > 0 ORDER BY value DESC, c.name;

--@ case: UPDATE of the row a cursor stands on
--@ verdict: refuse not-understood
UPDATE org_orders SET status = 'x' WHERE CURRENT OF c;

--@ case: TABLE with a locking clause
--@ verdict: refuse unbound-tenant, visible-deleted
TABLE org_orders FOR UPDATE;

--@ case: XMLTABLE over shared text
--@ verdict: refuse not-understood
SELECT x.a FROM XMLTABLE('/r' PASSING xmlparse(DOCUMENT '<r><a>1</a></r>') COLUMNS a int) x;

--@ case: ROWS FROM
--@ verdict: refuse not-understood
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(3, 4)) r;

--@ case: WITH ORDINALITY
--@ verdict: admit
SELECT u.v, u.n FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY u (v, n);

--@ case: GROUP BY DISTINCT and a filter
--@ verdict: admit
SELECT status, count(*) FILTER (WHERE total > 1) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY status;

--@ case: a queue that takes its next job
--@ verdict: admit
UPDATE org_orders SET status = 'taken' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND id = (SELECT id FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND status = 'open' ORDER BY number, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number;

--@ case: a queue that takes anybody's next job
--@ verdict: refuse unbound-tenant
--@ note: equal to RLS as long as the key is unique, which only the catalogue knows
UPDATE org_orders SET status = 'taken' WHERE deleted_at IS NULL AND id = (SELECT id FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND status = 'open' ORDER BY number, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number;

--@ case: a copy of an order with its items
--@ verdict: admit
WITH fresh AS (INSERT INTO org_orders (id, organization_id, customer_id, number) SELECT 'cccccccc-0000-4000-8000-000000000001', o.organization_id, o.customer_id, 100 FROM org_orders o WHERE o.id = 'a3000000-0000-4000-8000-000000000001' AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL RETURNING id, organization_id) INSERT INTO org_order_items (id, organization_id, order_id, product_id, quantity) SELECT 'cccccccc-0000-4000-8000-000000000002', f.organization_id, f.id, i.product_id, i.quantity FROM fresh f JOIN org_order_items i ON i.order_id = 'a3000000-0000-4000-8000-000000000001' AND i.organization_id = f.organization_id AND i.deleted_at IS NULL ORDER BY i.id LIMIT 1;
