-- Equality carries a tenant from one reference to the next, from a constant outwards.

--@ case: equal tenants, the second bound
--@ verdict: admit
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id = o.organization_id AND c.id = o.customer_id WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: equal tenants, neither bound
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id = o.organization_id AND c.id = o.customer_id WHERE o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a circle of three
--@ verdict: refuse unbound-tenant
SELECT a.label, b.body, c.role FROM org_tags a, org_notes b, org_members c WHERE a.organization_id = b.organization_id AND b.organization_id = c.organization_id AND c.organization_id = a.organization_id AND a.deleted_at IS NULL AND b.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a circle of three with a constant
--@ verdict: admit
SELECT a.label, b.body, c.role FROM org_tags a, org_notes b, org_members c WHERE a.organization_id = b.organization_id AND b.organization_id = c.organization_id AND b.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND b.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a shared table as the link, bound
--@ verdict: admit
SELECT o.number, m.role FROM org_orders o JOIN memberships m ON m.organization_id = o.organization_id WHERE m.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a shared table as the link, bound by the user only
--@ verdict: refuse unbound-tenant
SELECT o.number FROM org_orders o JOIN memberships m ON m.organization_id = o.organization_id WHERE m.user_id = 'c0000000-0000-4000-8000-000000000001' AND o.deleted_at IS NULL;

--@ case: the organizations table as the link, bound by its key
--@ verdict: admit
SELECT g.name, o.number FROM organizations g JOIN org_orders o ON o.organization_id = g.id WHERE g.id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: the organizations table as the link, bound by its slug
--@ verdict: refuse unbound-tenant
SELECT g.name, o.number FROM organizations g JOIN org_orders o ON o.organization_id = g.id WHERE g.slug = 'beta' AND o.deleted_at IS NULL;

--@ case: a link through COALESCE of itself
--@ verdict: refuse unbound-tenant
SELECT p.name FROM org_products p LEFT JOIN org_orders o ON o.number = p.stock AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL WHERE p.organization_id = coalesce(o.organization_id, p.organization_id) AND p.deleted_at IS NULL;

--@ case: a link by inequality
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id >= o.organization_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a link by another column
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id = o.partner_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a link by a column that is bound
--@ verdict: admit
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id = o.partner_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.partner_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: a link with a cast
--@ verdict: refuse unbound-tenant
--@ note: equal to RLS; only a comparison of the bare columns proves
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.organization_id::text = o.organization_id::text WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: a link from a table of values
--@ verdict: admit
SELECT t.label FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid)) v (org) JOIN org_tags t ON t.organization_id = v.org WHERE t.deleted_at IS NULL;

--@ case: a link from a table of two values
--@ verdict: refuse foreign-tenant
SELECT t.label FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid), ('22222222-2222-4222-8222-222222222222'::uuid)) v (org) JOIN org_tags t ON t.organization_id = v.org WHERE t.deleted_at IS NULL;

--@ case: a link from a one-row CTE of parameters
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
WITH input AS (SELECT $1::uuid AS org) SELECT t.label FROM input, org_tags t WHERE t.organization_id = input.org AND t.deleted_at IS NULL;

--@ case: LATERAL gives its tenant to a third table
--@ verdict: admit
SELECT i.remark, p.name FROM org_order_items i CROSS JOIN LATERAL (SELECT o.organization_id AS org FROM org_orders o WHERE o.id = i.order_id AND o.organization_id = i.organization_id AND o.deleted_at IS NULL) t JOIN org_products p ON p.organization_id = t.org WHERE i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND p.deleted_at IS NULL;

--@ case: a circle through LATERAL
--@ verdict: refuse unbound-tenant
SELECT i.remark FROM org_order_items i CROSS JOIN LATERAL (SELECT o.organization_id AS org FROM org_orders o WHERE o.id = i.order_id AND o.organization_id = i.organization_id AND o.deleted_at IS NULL) t WHERE t.org = i.organization_id AND i.deleted_at IS NULL;

--@ case: FULL never carries a tenant
--@ verdict: refuse unbound-tenant
SELECT a.label, b.body FROM (SELECT * FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) a FULL JOIN (SELECT * FROM org_notes WHERE deleted_at IS NULL) b ON b.organization_id = a.organization_id;

--@ case: the same two tables, the equality under OR
--@ verdict: refuse unbound-tenant
SELECT a.label, b.body FROM org_tags a, org_notes b WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND b.deleted_at IS NULL AND (b.organization_id = a.organization_id OR b.subject_id IS NULL);
