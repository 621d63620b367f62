-- UNION, INTERSECT, EXCEPT: each arm owes for itself.

--@ case: both arms bound
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the second arm loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT name FROM org_customers;

--@ case: the first arm loose
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE deleted_at IS NULL UNION SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: EXCEPT, the right arm loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL EXCEPT SELECT quantity FROM org_order_items;

--@ case: EXCEPT, both bound
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL EXCEPT SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label = 'sale';

--@ case: INTERSECT, the right arm loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL INTERSECT SELECT quantity FROM org_order_items;

--@ case: INTERSECT, the right arm bound through tenant and soft delete
--@ verdict: admit
SELECT organization_id, deleted_at, stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL INTERSECT SELECT organization_id, deleted_at, quantity FROM org_order_items;

--@ case: INTERSECT, the right arm bound through the tenant only
--@ verdict: refuse visible-deleted
SELECT organization_id, stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL INTERSECT SELECT organization_id, quantity FROM org_order_items;

--@ case: EXCEPT, the right arm bound through tenant and soft delete
--@ verdict: admit
SELECT organization_id, deleted_at, stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL EXCEPT SELECT organization_id, deleted_at, quantity FROM org_order_items;

--@ case: UNION carries nothing from arm to arm
--@ verdict: refuse unbound-tenant
SELECT organization_id, deleted_at, stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION SELECT organization_id, deleted_at, quantity FROM org_order_items WHERE deleted_at IS NULL;

--@ case: filtered outside
--@ verdict: admit
SELECT u.name FROM (SELECT name, organization_id, deleted_at FROM org_products UNION ALL SELECT name, organization_id, deleted_at FROM org_customers) u WHERE u.organization_id = '11111111-1111-4111-8111-111111111111' AND u.deleted_at IS NULL;

--@ case: filtered outside, an arm with a constant as its tenant
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT u.name FROM (SELECT name, organization_id, deleted_at FROM org_products UNION ALL SELECT name, '11111111-1111-4111-8111-111111111111', NULL FROM org_customers) u WHERE u.organization_id = '11111111-1111-4111-8111-111111111111' AND u.deleted_at IS NULL;

--@ case: filtered outside, the arms' columns in another order
--@ verdict: refuse unbound-tenant
SELECT u.n FROM (SELECT number AS n, organization_id, partner_id, deleted_at FROM org_orders UNION ALL SELECT number, partner_id, organization_id, deleted_at FROM org_orders) u WHERE u.organization_id = '11111111-1111-4111-8111-111111111111' AND u.deleted_at IS NULL;

--@ case: filtered outside EXCEPT ALL
--@ verdict: admit
SELECT u.n FROM (SELECT organization_id, deleted_at, stock AS n FROM org_products EXCEPT ALL SELECT organization_id, deleted_at, quantity FROM org_order_items) u WHERE u.organization_id = '11111111-1111-4111-8111-111111111111' AND u.deleted_at IS NULL;

--@ case: filtered outside, LIMIT inside an arm
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT u.name FROM ((SELECT name, organization_id, deleted_at FROM org_products ORDER BY price DESC LIMIT 2) UNION ALL SELECT name, organization_id, deleted_at FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) u WHERE u.organization_id = '11111111-1111-4111-8111-111111111111' AND u.deleted_at IS NULL;

--@ case: parenthesised arms with their own ORDER BY
--@ verdict: admit
(SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY price, id LIMIT 1) UNION ALL (SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY balance, id LIMIT 1);

--@ case: three arms, the middle one loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION SELECT body FROM org_notes UNION SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: an arm of shared data
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT code FROM plans;

--@ case: TABLE as an arm
--@ verdict: refuse unbound-tenant
SELECT organization_id, key, value FROM org_settings WHERE organization_id = '11111111-1111-4111-8111-111111111111' UNION ALL TABLE org_settings;

--@ case: TABLE of a shared table as an arm
--@ verdict: admit
SELECT 'XX', 'none' UNION ALL TABLE countries;

--@ case: probing for values with EXCEPT
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT unnest(ARRAY['B secret', 'nothing']) EXCEPT SELECT label FROM org_tags;

--@ case: an arm bound to the other tenant
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ session: unknown
--@ case: each arm its own tenant, the session's unknown
--@ verdict: refuse mixed-tenants
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ session: unknown
--@ case: both arms one tenant, the session's unknown
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL UNION ALL SELECT body FROM org_notes WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;
