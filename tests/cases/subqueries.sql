-- Subqueries: what they may inherit from the outer row, and what they may prove about it.

--@ case: EXISTS, inner bound by the outer row
--@ verdict: admit
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL);

--@ case: EXISTS, inner by its foreign key only
--@ verdict: refuse unbound-tenant
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_order_items i WHERE i.order_id = o.id AND i.deleted_at IS NULL);

--@ case: NOT EXISTS, inner bound by the outer row
--@ verdict: admit
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL);

--@ case: NOT EXISTS, inner loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM org_order_items i WHERE i.order_id = o.id);

--@ case: a positive EXISTS binds the outer row
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id);

--@ case: a circle between outer row and EXISTS
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = c.organization_id AND o.customer_id = c.id AND o.deleted_at IS NULL);

--@ case: NOT EXISTS does not bind the outer row
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id AND o.customer_id = c.id);

--@ case: NOT NOT EXISTS is positive
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND NOT (NOT EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id));

--@ case: EXISTS under OR does not bind the outer row
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND (c.balance > 500 OR EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id));

--@ case: EXISTS about the outer row only
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM regions r WHERE c.organization_id = '11111111-1111-4111-8111-111111111111');

--@ case: EXISTS over an aggregate is always true
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT count(*) FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id);

--@ case: EXISTS with the equality in a LEFT JOIN
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM plans p LEFT JOIN org_orders o ON o.organization_id = c.organization_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: EXISTS with the equality in a select list
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT c.organization_id = '11111111-1111-4111-8111-111111111111');

--@ case: EXISTS over UNION, one arm open
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.organization_id = c.organization_id UNION ALL SELECT 1);

--@ case: the tenant IN a bound subquery
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id IN (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: the tenant IN an unbound subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id IN (SELECT o.organization_id FROM org_orders o WHERE o.deleted_at IS NULL);

--@ case: the tenant IN the organizations of a user
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id IN (SELECT m.organization_id FROM memberships m WHERE m.user_id = 'c0000000-0000-4000-8000-000000000001');

--@ case: the tenant IN one organization
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id IN (SELECT g.id FROM organizations g WHERE g.id = '11111111-1111-4111-8111-111111111111');

--@ case: tenant and key IN a bound subquery
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND (c.id, c.organization_id) IN (SELECT o.customer_id, o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: tenant and key IN a bound subquery, by the wrong column
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND (c.organization_id, c.id) IN (SELECT o.partner_id, o.customer_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: the key alone IN a bound subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.id IN (SELECT o.customer_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: the tenant NOT IN a bound subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id NOT IN (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: equal to ANY of a bound subquery
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id = ANY (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: greater than ANY of a bound subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id >= ANY (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL);

--@ case: equal to ALL of a bound subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id = ALL (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.number > 100);

--@ case: equal to a bound scalar subquery
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id = (SELECT o.organization_id FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL LIMIT 1);

--@ case: equal to an unbound scalar subquery
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND c.organization_id = (SELECT o.organization_id FROM org_orders o WHERE o.total = 5000 AND o.deleted_at IS NULL);

--@ case: a bound scalar subquery in the select list
--@ verdict: admit
SELECT r.name, (SELECT count(*) FROM org_customers c WHERE c.region_id = r.id AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL) FROM regions r;

--@ case: an unbound scalar subquery in the select list
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT r.name, (SELECT count(*) FROM org_customers c WHERE c.region_id = r.id) FROM regions r;

--@ case: a correlated scalar subquery under a bound row
--@ verdict: admit
SELECT o.number, (SELECT sum(i.quantity) FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL) FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a predicate about the outer row inside a select-list subquery
--@ verdict: refuse unbound-tenant
SELECT o.number, (SELECT max(r.id) FROM regions r WHERE o.organization_id = '11111111-1111-4111-8111-111111111111') FROM org_orders o WHERE o.deleted_at IS NULL;

--@ case: a subquery in ON, bound by the outer row
--@ verdict: admit
SELECT o.number, r.name FROM org_orders o LEFT JOIN regions r ON EXISTS (SELECT 1 FROM org_customers c WHERE c.organization_id = o.organization_id AND c.region_id = r.id AND c.deleted_at IS NULL) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a loose subquery in ON
--@ verdict: refuse unbound-tenant
SELECT o.number, r.name FROM org_orders o LEFT JOIN regions r ON EXISTS (SELECT 1 FROM org_customers c WHERE c.region_id = r.id AND c.deleted_at IS NULL) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a loose subquery in LIMIT
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id LIMIT (SELECT count(*) / 6 FROM org_orders);

--@ case: a bound subquery in LIMIT
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id LIMIT (SELECT count(*) / 2 FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: a loose subquery in OFFSET
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id OFFSET (SELECT count(*) / 10 FROM org_orders);

--@ case: a loose subquery in ORDER BY
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY (SELECT count(*) FROM org_orders WHERE status = 'void') * length(label) - length(label), label LIMIT 1;

--@ case: a loose subquery in VALUES
--@ verdict: refuse unbound-tenant, visible-deleted
VALUES ((SELECT count(*) FROM org_orders));

--@ case: a bound subquery in VALUES
--@ verdict: admit
VALUES ((SELECT count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL));

--@ case: a loose subquery without FROM outside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT ARRAY(SELECT label FROM org_tags ORDER BY 1);

--@ case: a bound array subquery
--@ verdict: admit
SELECT ARRAY(SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY 1);

--@ case: a loose subquery in CASE
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT CASE WHEN EXISTS (SELECT 1 FROM org_tags WHERE label = 'B secret') THEN 1 ELSE 0 END;

--@ case: a bound subquery in CASE
--@ verdict: admit
SELECT CASE WHEN EXISTS (SELECT 1 FROM org_tags WHERE label = 'sale' AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) THEN 1 ELSE 0 END;

--@ case: a loose subquery three levels down
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT (SELECT (SELECT (SELECT max(name) FROM org_products)));

--@ case: a loose subquery in a function of FROM
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT g FROM generate_series(1, (SELECT count(*) FROM org_orders)) g;

--@ case: a grandchild bound by its grandparent
--@ verdict: admit
SELECT c.name FROM org_customers c WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_orders o WHERE o.customer_id = c.id AND o.organization_id = c.organization_id AND o.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = c.organization_id AND i.deleted_at IS NULL));

--@ case: a constant inside NOT EXISTS says nothing about the outer row
--@ verdict: refuse unbound-tenant
SELECT c.name FROM org_customers c WHERE c.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM regions r WHERE c.organization_id <> '11111111-1111-4111-8111-111111111111' AND r.id = c.region_id);
