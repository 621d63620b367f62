-- DELETE: the target and everything in USING are references.

--@ case: bound and live
--@ verdict: admit
DELETE FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND subject_id IS NULL;

--@ case: everything
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_notes;

--@ case: by the key only
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_notes WHERE id = 'b5000000-0000-4000-8000-000000000003';

--@ case: without soft delete
--@ verdict: refuse visible-deleted
DELETE FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND meta = '{}';

--@ case: the other tenant
--@ verdict: refuse foreign-tenant
DELETE FROM org_notes WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: every tenant but the own
--@ verdict: refuse unbound-tenant
DELETE FROM org_settings WHERE organization_id <> '11111111-1111-4111-8111-111111111111';

--@ case: a table without soft delete
--@ verdict: admit
DELETE FROM org_settings WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND key = 'lang';

--@ case: RETURNING
--@ verdict: admit
DELETE FROM org_notes n WHERE n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL AND n.body LIKE 'A p%' RETURNING n.id, n.body;

--@ case: RETURNING with a loose subquery
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND subject_id IS NULL RETURNING (SELECT count(*) FROM org_tags);

--@ case: USING, both bound
--@ verdict: admit
DELETE FROM org_order_items i USING org_orders o WHERE o.id = i.order_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: USING, the target through the source
--@ verdict: admit
DELETE FROM org_order_items i USING org_orders o WHERE o.id = i.order_id AND i.organization_id = o.organization_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: USING, the target loose
--@ verdict: refuse unbound-tenant
DELETE FROM org_order_items i USING org_orders o WHERE o.id = i.order_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: USING, the source loose
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_order_items i USING org_orders o WHERE o.id = i.order_id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: USING, no link at all
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_notes USING org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: a junction
--@ verdict: admit
DELETE FROM org_product_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND product_id = 'a1000000-0000-4000-8000-000000000001' AND tag_id = 'a6000000-0000-4000-8000-000000000002';

--@ case: a junction by its tag
--@ verdict: refuse unbound-tenant
DELETE FROM org_product_tags WHERE tag_id = 'a6000000-0000-4000-8000-000000000001';

--@ case: a junction through its bound product
--@ verdict: refuse unbound-tenant
DELETE FROM org_product_tags pt USING org_products p WHERE p.id = pt.product_id AND p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: NOT IN a bound list
--@ verdict: admit
DELETE FROM org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND id NOT IN ('a5000000-0000-4000-8000-000000000001', 'a5000000-0000-4000-8000-000000000002');

--@ case: a bound subquery in WHERE
--@ verdict: admit
DELETE FROM org_notes n WHERE n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM org_products p WHERE p.id = n.subject_id AND p.organization_id = n.organization_id AND p.deleted_at IS NULL);

--@ case: a loose subquery in WHERE
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM org_notes n WHERE n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM org_products p WHERE p.id = n.subject_id);

--@ case: a shared table
--@ verdict: admit
DELETE FROM orgunits WHERE id = 2;

--@ case: a shared table, found through a loose guarded one
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM orgunits WHERE id IN (SELECT number FROM org_orders WHERE total > 4000 AND status = 'paid') RETURNING name;

--@ case: an alias that is the keyword USING's neighbour
--@ verdict: admit
--@ note: deleting a tag cascades into the junction
DELETE FROM org_tags AS t USING plans p WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND p.code <> t.label;

--@ case: parameters
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, a5000000-0000-4000-8000-000000000003 -> admit | 22222222-2222-4222-8222-222222222222, b5000000-0000-4000-8000-000000000003 -> refuse foreign-tenant | NULL, a5000000-0000-4000-8000-000000000003 -> admit
DELETE FROM org_notes WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL;
