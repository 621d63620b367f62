-- WITH RECURSIVE: the base is bound, and the step is bound by what it carries.

--@ case: the step carries the tenant
--@ verdict: admit
WITH RECURSIVE tree (id, org) AS (SELECT id, organization_id FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION ALL SELECT c.id, c.organization_id FROM org_customers c JOIN tree t ON c.parent_id = t.id AND c.organization_id = t.org WHERE c.deleted_at IS NULL) SELECT id FROM tree;

--@ case: the step goes by the parent only
--@ verdict: refuse unbound-tenant
WITH RECURSIVE tree (id, org) AS (SELECT id, organization_id FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT c.id, c.organization_id FROM org_customers c JOIN tree t ON c.parent_id = t.id WHERE c.deleted_at IS NULL) SELECT id FROM tree;

--@ case: base and step bound by constants
--@ verdict: admit
WITH RECURSIVE tree AS (SELECT id, name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION SELECT c.id, c.name FROM org_customers c, tree t WHERE c.parent_id = t.id AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL) SELECT name FROM tree;

--@ case: the step forgets soft delete
--@ verdict: refuse visible-deleted
WITH RECURSIVE tree AS (SELECT id, name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION SELECT c.id, c.name FROM org_customers c, tree t WHERE c.parent_id = t.id AND c.organization_id = '11111111-1111-4111-8111-111111111111') SELECT name FROM tree;

--@ case: the base is loose
--@ verdict: refuse unbound-tenant
WITH RECURSIVE tree (id, org) AS (SELECT id, organization_id FROM org_customers WHERE deleted_at IS NULL AND parent_id IS NULL UNION ALL SELECT c.id, c.organization_id FROM org_customers c JOIN tree t ON c.parent_id = t.id AND c.organization_id = t.org WHERE c.deleted_at IS NULL) SELECT id FROM tree;

--@ case: filtered only outside
--@ verdict: refuse unbound-tenant, visible-deleted
WITH RECURSIVE tree (id, organization_id, deleted_at, depth) AS (SELECT id, organization_id, deleted_at, 1 FROM org_customers WHERE parent_id IS NULL UNION ALL SELECT c.id, c.organization_id, c.deleted_at, t.depth + 1 FROM org_customers c JOIN tree t ON c.parent_id = t.id) SELECT id, depth FROM tree WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the step carries another column as the tenant
--@ verdict: refuse unbound-tenant
WITH RECURSIVE r (id, org, n) AS (SELECT id, organization_id, 1 FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT o.id, o.partner_id, r.n + 1 FROM org_orders o JOIN r ON o.organization_id = r.org AND o.id <> r.id WHERE o.deleted_at IS NULL AND r.n < 3) SELECT DISTINCT id FROM r;

--@ case: the base carries a constant, the step the column
--@ verdict: admit
WITH RECURSIVE tree (id, org) AS (SELECT id, '11111111-1111-4111-8111-111111111111'::uuid FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION ALL SELECT c.id, c.organization_id FROM org_customers c JOIN tree t ON c.parent_id = t.id AND c.organization_id = t.org WHERE c.deleted_at IS NULL) SELECT id FROM tree;

--@ case: the base carries the other tenant
--@ verdict: refuse foreign-tenant
WITH RECURSIVE tree (id, org) AS (SELECT id, '22222222-2222-4222-8222-222222222222'::uuid FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION ALL SELECT c.id, c.organization_id FROM org_customers c JOIN tree t ON c.parent_id = t.id AND c.organization_id = t.org WHERE c.deleted_at IS NULL) SELECT id FROM tree;

--@ case: a counter beside a bound table
--@ verdict: admit
WITH RECURSIVE days (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 3) SELECT d.n, t.label FROM days d CROSS JOIN org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: a counter beside a loose table
--@ verdict: refuse unbound-tenant, visible-deleted
WITH RECURSIVE days (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 3) SELECT d.n, t.label FROM days d CROSS JOIN org_tags t;

--@ case: upwards from one row
--@ verdict: admit
WITH RECURSIVE up AS (SELECT id, parent_id, name, organization_id FROM org_customers WHERE id = 'a2000000-0000-4000-8000-000000000003' AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT c.id, c.parent_id, c.name, c.organization_id FROM org_customers c JOIN up ON c.id = up.parent_id AND c.organization_id = up.organization_id WHERE c.deleted_at IS NULL) SELECT name FROM up;

--@ case: upwards from one row by the key only
--@ verdict: refuse unbound-tenant, visible-deleted
WITH RECURSIVE up AS (SELECT id, parent_id, name FROM org_customers WHERE id = 'a2000000-0000-4000-8000-000000000005' AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL UNION ALL SELECT c.id, c.parent_id, c.name FROM org_customers c JOIN up ON c.id = up.parent_id) SELECT name FROM up;

--@ case: a loose subquery in the step
--@ verdict: refuse unbound-tenant, visible-deleted
WITH RECURSIVE tree (id, n) AS (SELECT id, 0 FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND parent_id IS NULL UNION ALL SELECT c.id, (SELECT count(*)::int FROM org_orders) FROM org_customers c JOIN tree t ON c.parent_id = t.id WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL) SELECT id, n FROM tree;
