-- UPDATE: the target and everything in FROM are references; the tenant column stays what it is.

--@ case: bound and live
--@ verdict: admit
UPDATE org_products SET stock = stock + 1 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-1';

--@ case: by the key only
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_products SET stock = 0 WHERE id = 'b1000000-0000-4000-8000-000000000001';

--@ case: everything
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_products SET stock = 0;

--@ case: without soft delete
--@ verdict: refuse visible-deleted
UPDATE org_products SET stock = 0 WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: the other tenant
--@ verdict: refuse foreign-tenant
UPDATE org_products SET stock = 0 WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: an OR
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_products SET stock = 0 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-1' OR sku = 'P-7';

--@ case: an alias
--@ verdict: admit
UPDATE org_products AS p SET price = p.price * 2 WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL AND p.stock > 0 RETURNING p.id, p.price;

--@ case: FROM, both bound
--@ verdict: admit
UPDATE org_orders o SET status = 'billed' FROM org_customers c WHERE c.id = o.customer_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: FROM, the source through the target
--@ verdict: admit
UPDATE org_orders o SET status = c.name FROM org_customers c WHERE c.id = o.customer_id AND c.organization_id = o.organization_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: FROM, the source loose
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_orders o SET status = c.name FROM org_customers c WHERE c.id = o.customer_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: FROM, the target loose
--@ verdict: refuse unbound-tenant
UPDATE org_orders o SET status = 'billed' FROM org_customers c WHERE c.id = o.customer_id AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND o.deleted_at IS NULL;

--@ case: FROM a derived table
--@ verdict: admit
UPDATE org_orders o SET total = s.total FROM (SELECT order_id, sum(quantity * unit_price) AS total FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY order_id) s WHERE s.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: FROM a loose derived table
--@ verdict: refuse unbound-tenant
UPDATE org_orders o SET total = s.total FROM (SELECT order_id, sum(quantity * unit_price) AS total FROM org_order_items WHERE deleted_at IS NULL GROUP BY order_id) s WHERE s.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: FROM a table of values
--@ verdict: admit
UPDATE org_products p SET stock = v.stock FROM (VALUES ('P-1', 7), ('P-2', 8)) v (sku, stock) WHERE p.sku = v.sku AND p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: FROM with an outer join, the nullable side in ON
--@ verdict: admit
UPDATE org_orders o SET status = coalesce(n.body, 'none') FROM org_customers c LEFT JOIN org_notes n ON n.subject_id = c.id AND n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL WHERE c.id = o.customer_id AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: FROM with an outer join, the kept side in ON
--@ verdict: refuse unbound-tenant
UPDATE org_orders o SET status = 'x' FROM org_customers c LEFT JOIN org_notes n ON n.subject_id = c.id AND n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL AND c.organization_id = '11111111-1111-4111-8111-111111111111' WHERE c.id = o.customer_id AND c.deleted_at IS NULL AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: the tenant column to the other tenant
--@ verdict: refuse tenant-move
UPDATE org_products SET organization_id = '22222222-2222-4222-8222-222222222222' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column to itself
--@ verdict: admit
UPDATE org_products SET organization_id = organization_id, stock = 3 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column to the tenant
--@ verdict: admit
UPDATE org_products SET organization_id = '11111111-1111-4111-8111-111111111111', stock = 3 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column to DEFAULT
--@ verdict: refuse tenant-move
UPDATE org_products SET organization_id = DEFAULT WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column to another column
--@ verdict: refuse tenant-move
UPDATE org_orders SET organization_id = partner_id WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND number = 1;

--@ case: the tenant column in a row, to the other tenant
--@ verdict: refuse tenant-move
UPDATE org_products SET (name, organization_id) = ('gift', '22222222-2222-4222-8222-222222222222') WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column in a row, to the tenant
--@ verdict: admit
UPDATE org_products SET (name, organization_id) = ('kept', '11111111-1111-4111-8111-111111111111') WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column from a subquery
--@ verdict: refuse tenant-move
UPDATE org_products SET (organization_id, stock) = (SELECT id, 1 FROM organizations WHERE slug = 'beta') WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: the tenant column by a parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222, 11111111-1111-4111-8111-111111111111 -> refuse tenant-move | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant | 22222222-2222-4222-8222-222222222222, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant, tenant-move
UPDATE org_products SET organization_id = $1, stock = 4 WHERE organization_id = $2 AND deleted_at IS NULL AND sku = 'P-3';

--@ case: the tenant column quoted
--@ verdict: refuse tenant-move
UPDATE "org_products" SET "organization_id" = '22222222-2222-4222-8222-222222222222' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND "sku" = 'P-2';

--@ case: several columns in a row
--@ verdict: admit
UPDATE org_products SET (name, price) = ('pair', 1) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-2';

--@ case: a bound subquery in SET
--@ verdict: admit
UPDATE org_orders o SET total = (SELECT coalesce(sum(i.quantity), 0) FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a loose subquery in SET
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_orders SET total = (SELECT count(*) FROM org_order_items) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a loose subquery in RETURNING
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_orders SET total = 1 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND number = 1 RETURNING (SELECT string_agg(name, ',' ORDER BY name) FROM org_products);

--@ case: a loose subquery in WHERE
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_orders SET total = 1 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND total < (SELECT max(price) FROM org_products);

--@ case: a key found by a bound subquery
--@ verdict: admit
UPDATE org_orders SET status = 'done' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND id IN (SELECT order_id FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: only a key found by a bound subquery
--@ verdict: refuse unbound-tenant
UPDATE org_orders SET status = 'done' WHERE deleted_at IS NULL AND id IN (SELECT order_id FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: a shared table
--@ verdict: admit
UPDATE countries SET name = upper(name) WHERE code = 'DE';

--@ case: a shared table from a loose guarded one
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE plans SET name = (SELECT max(name) FROM org_products) RETURNING name;

--@ case: a shared table from a bound guarded one
--@ verdict: admit
UPDATE memberships m SET role = o.role FROM org_members o WHERE o.user_id = m.user_id AND o.organization_id = m.organization_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a junction
--@ verdict: admit
UPDATE org_product_tags SET tag_id = 'a6000000-0000-4000-8000-000000000009' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND product_id = 'a1000000-0000-4000-8000-000000000003';

--@ case: a junction by its key only
--@ verdict: refuse unbound-tenant
UPDATE org_product_tags SET tag_id = 'a6000000-0000-4000-8000-000000000009' WHERE product_id = 'b1000000-0000-4000-8000-000000000002';

--@ case: an UPDATE that knows no soft delete but is ONLY
--@ verdict: refuse visible-deleted
UPDATE ONLY org_products SET stock = 0 WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: the tenant from a query that may give no row
--@ verdict: refuse tenant-move
UPDATE org_products SET organization_id = (SELECT '11111111-1111-4111-8111-111111111111'::uuid WHERE false) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the tenant among columns from a query over a table
--@ verdict: refuse tenant-move
UPDATE org_products SET (organization_id, stock) = (SELECT o.organization_id, 1 FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND o.number = 0) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the tenant among columns from a query of one row
--@ verdict: admit
UPDATE org_products SET (organization_id, stock) = (SELECT '11111111-1111-4111-8111-111111111111'::uuid, 1) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;
