-- LEFT, RIGHT and FULL: ON binds only the side that may be null, WHERE binds the side that is kept.

--@ case: LEFT, kept side in WHERE, other side in ON
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT, the kept side in ON
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND o.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.deleted_at IS NULL;

--@ case: LEFT, soft delete of the kept side in ON
--@ verdict: refuse visible-deleted
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND o.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: LEFT, the other side by its foreign key only
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT, the other side in WHERE makes it an inner join
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: LEFT, tenant in ON and soft delete in WHERE loses parents
--@ verdict: admit advice visible-deleted
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: LEFT, soft delete in ON and the strict tenant in WHERE
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: LEFT, a strict conjunct heals soft delete in WHERE
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL AND i.quantity > 0;

--@ case: LEFT, the tenant or null in WHERE
--@ verdict: refuse unbound-tenant
--@ note: loses own parents whose only child is another tenant's
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND (i.organization_id = '11111111-1111-4111-8111-111111111111' OR i.organization_id IS NULL) AND i.deleted_at IS NULL;

--@ case: LEFT, the tenant through COALESCE
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND coalesce(i.organization_id, '11111111-1111-4111-8111-111111111111') = '11111111-1111-4111-8111-111111111111';

--@ case: LEFT, an anti join with a bound other side
--@ verdict: admit
SELECT o.number FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.id IS NULL;

--@ case: LEFT, an anti join with an unbound other side
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.id IS NULL;

--@ case: RIGHT, mirrored
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o RIGHT JOIN org_order_items i ON i.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL WHERE i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: RIGHT, the kept side in ON
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, i.remark FROM org_orders o RIGHT JOIN org_order_items i ON i.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: FULL, both in ON
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items i ON i.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: FULL, equal tenants in ON and nothing else
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = o.organization_id;

--@ case: FULL, both strict in WHERE is an inner join
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items i ON i.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: FULL, one strict in WHERE is a left join
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: FULL, one strict in WHERE, the other's soft delete too
--@ verdict: admit advice visible-deleted
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: FULL of two filtered derived tables
--@ verdict: admit
SELECT o.number, i.remark FROM (SELECT * FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) o FULL JOIN (SELECT * FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) i ON i.order_id = o.id;

--@ case: FULL of two derived tables, one filtered
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM (SELECT * FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) o FULL JOIN (SELECT * FROM org_order_items WHERE deleted_at IS NULL) i ON i.order_id = o.id AND i.organization_id = o.organization_id;

--@ case: FULL USING the tenant column, soft delete inside
--@ verdict: admit
SELECT organization_id, o.number, n.body FROM (SELECT * FROM org_orders WHERE deleted_at IS NULL) o FULL JOIN (SELECT * FROM org_notes WHERE deleted_at IS NULL) n USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: FULL USING the tenant column, soft delete in WHERE
--@ verdict: admit advice visible-deleted
SELECT o.number, t.label FROM org_orders o FULL JOIN org_tags t USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND t.deleted_at IS NULL;

--@ case: FULL without USING, COALESCE of both tenants
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM (SELECT * FROM org_orders WHERE deleted_at IS NULL) o FULL JOIN (SELECT * FROM org_order_items WHERE deleted_at IS NULL) i ON i.order_id = o.id WHERE coalesce(o.organization_id, i.organization_id) = '11111111-1111-4111-8111-111111111111';

--@ case: LEFT USING the tenant column, soft delete inside
--@ verdict: admit
SELECT o.number, n.body FROM org_orders o LEFT JOIN (SELECT * FROM org_notes WHERE deleted_at IS NULL) n USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT USING the tenant column, right soft delete in WHERE
--@ verdict: admit advice visible-deleted
SELECT o.number, m.role FROM org_orders o LEFT JOIN org_members m USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND m.deleted_at IS NULL;

--@ case: RIGHT USING the tenant column, the left column in WHERE
--@ verdict: refuse unbound-tenant
SELECT o.number, p.name FROM (SELECT * FROM org_orders WHERE deleted_at IS NULL) o RIGHT JOIN (SELECT organization_id, stock AS number, name FROM org_products WHERE deleted_at IS NULL) p USING (organization_id, number) WHERE (o.organization_id = '11111111-1111-4111-8111-111111111111' OR o.id IS NULL);

--@ case: RIGHT USING the tenant column, the merged column in WHERE
--@ verdict: admit
SELECT o.number, n.body FROM (SELECT * FROM org_orders WHERE deleted_at IS NULL) o RIGHT JOIN org_notes n USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL;

--@ case: LEFT, other side bound through the kept side
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT, kept side bound through the other side
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = o.organization_id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.deleted_at IS NULL;

--@ case: LEFT of a nested inner join, bound across both ONs
--@ verdict: admit
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN (org_order_items i JOIN org_products p ON p.id = i.product_id AND p.organization_id = '11111111-1111-4111-8111-111111111111') ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT of a nested left join, strict in the outer ON
--@ verdict: admit
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN (org_order_items i LEFT JOIN org_products p ON p.id = i.product_id) ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT of a nested left join, soft delete one level too high
--@ verdict: admit advice visible-deleted
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN (org_order_items i LEFT JOIN org_products p ON p.id = i.product_id AND p.organization_id = '11111111-1111-4111-8111-111111111111') ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a later LEFT JOIN's ON speaks of earlier tables
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o JOIN org_order_items i ON i.order_id = o.id LEFT JOIN plans p ON p.id = o.number AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND i.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: a later inner join heals soft delete in WHERE
--@ verdict: admit
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' JOIN org_products p ON p.id = i.product_id AND p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: a chain of LEFT JOINs, each bound through the one before
--@ verdict: admit
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL LEFT JOIN org_products p ON p.id = i.product_id AND p.organization_id = i.organization_id AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a chain of LEFT JOINs, the last one loose
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark, p.name FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL LEFT JOIN org_products p ON p.id = i.product_id AND p.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LEFT from a shared table, guarded side in ON
--@ verdict: admit
SELECT r.name, c.name FROM regions r LEFT JOIN org_customers c ON c.region_id = r.id AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: LEFT from a shared table, guarded side loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT r.name, c.name FROM regions r LEFT JOIN org_customers c ON c.region_id = r.id;

--@ case: LEFT from a shared table, soft delete in WHERE
--@ verdict: admit advice visible-deleted
SELECT r.name, c.name FROM regions r LEFT JOIN org_customers c ON c.region_id = r.id AND c.organization_id = '11111111-1111-4111-8111-111111111111' WHERE c.deleted_at IS NULL;

--@ case: an OR of null arms between nullable tables
--@ verdict: refuse unbound-tenant
SELECT o.number, p.name FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL JOIN org_products p ON (p.organization_id = i.organization_id OR i.id IS NULL) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND p.deleted_at IS NULL;
