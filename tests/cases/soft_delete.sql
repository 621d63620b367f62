-- deleted_at IS NULL: what keeps out soft-deleted rows, and what only looks like it.

--@ case: IS NOT NULL
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NOT NULL;

--@ case: a wastebasket over both
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND (deleted_at IS NULL OR deleted_at > '2020-01-01');

--@ case: restricted to the future
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND coalesce(deleted_at, 'infinity') > '2026-01-15';

--@ case: NOT of IS NULL
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND NOT (deleted_at IS NULL);

--@ case: NOT of IS NOT NULL
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND NOT (deleted_at IS NOT NULL);

--@ case: equal to NULL under IS NULL
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND (deleted_at = NULL) IS NULL;

--@ case: not distinct from NULL
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NOT DISTINCT FROM NULL;

--@ case: distinct from NULL
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS DISTINCT FROM NULL;

--@ case: the test as a value
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND (deleted_at IS NULL) IS NOT NULL;

--@ case: the test in the select list
--@ verdict: refuse visible-deleted
SELECT name, deleted_at IS NULL AS live FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: a row that is NULL
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND (deleted_at, supplier_id) IS NULL;

--@ case: a row that is not NULL, negated
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND NOT ((deleted_at, supplier_id) IS NOT NULL);

--@ case: another table's soft delete
--@ verdict: refuse visible-deleted
SELECT o.number FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: a parameter decides
--@ verdict: refuse visible-deleted
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND (deleted_at IS NULL OR $1::boolean);

--@ case: soft delete by a bound UPDATE
--@ verdict: admit
UPDATE org_products SET deleted_at = '2026-03-01' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-3';

--@ case: soft delete by today's date
--@ verdict: admit
UPDATE org_products SET deleted_at = current_date WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-3' RETURNING id;

--@ case: soft delete of what is deleted
--@ verdict: refuse visible-deleted
UPDATE org_products SET deleted_at = '2026-03-01' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND sku = 'P-9';

--@ case: soft delete of the other tenant's
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_products SET deleted_at = '2026-03-01' WHERE id = 'b1000000-0000-4000-8000-000000000001';

--@ case: restoring a row
--@ verdict: refuse visible-deleted
UPDATE org_products SET deleted_at = NULL WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NOT NULL;

--@ case: restoring a row by its key
--@ verdict: refuse visible-deleted
UPDATE org_products SET deleted_at = NULL WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND id = 'a1000000-0000-4000-8000-000000000009';

--@ case: emptying the wastebasket
--@ verdict: refuse visible-deleted
DELETE FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at < '2026-02-15';

--@ case: an INSERT of a deleted row
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body, deleted_at) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'kept for the record', '2026-02-01');

--@ case: a table without the column
--@ verdict: admit
SELECT key, value FROM org_settings WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: a table without the column, loose
--@ verdict: refuse unbound-tenant
SELECT key, value FROM org_settings WHERE key = 'api_key';

--@ case: a junction without the column
--@ verdict: admit
SELECT product_id, tag_id FROM org_product_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: soft delete inside NOT EXISTS
--@ verdict: refuse visible-deleted
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND NOT EXISTS (SELECT 1 FROM plans p WHERE o.deleted_at IS NULL);

--@ case: soft delete inside EXISTS
--@ verdict: admit
SELECT o.number FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND EXISTS (SELECT 1 FROM plans p WHERE o.deleted_at IS NULL);

--@ case: soft delete in HAVING by an aggregate
--@ verdict: refuse visible-deleted
SELECT status, count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' GROUP BY status HAVING bool_or(deleted_at IS NULL);

--@ case: soft delete through the whole row
--@ verdict: refuse visible-deleted
--@ note: equal to RLS; only the bare column proves
SELECT p.name FROM org_products p WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND to_jsonb(p) ->> 'deleted_at' IS NULL;

--@ case: DELETE where rows are only soft-deleted
--@ verdict: refuse hard-delete
DELETE FROM org_members WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: soft deletion where rows are only soft-deleted
--@ verdict: admit
UPDATE org_members SET deleted_at = '2026-03-01' WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: DELETE in WITH where rows are only soft-deleted
--@ verdict: refuse hard-delete
WITH gone AS (DELETE FROM public.org_members m USING users u WHERE u.id = m.user_id AND m.organization_id = '11111111-1111-4111-8111-111111111111' AND m.deleted_at IS NULL RETURNING m.id) SELECT count(*) FROM gone;

--@ case: MERGE deletes where rows are only soft-deleted
--@ verdict: refuse hard-delete
MERGE INTO org_members m USING users u ON u.id = m.user_id AND m.organization_id = '11111111-1111-4111-8111-111111111111' AND m.deleted_at IS NULL WHEN MATCHED AND m.role = 'staff' THEN DELETE;

--@ case: MERGE updates where rows are only soft-deleted
--@ verdict: admit
MERGE INTO org_members m USING users u ON u.id = m.user_id AND m.organization_id = '11111111-1111-4111-8111-111111111111' AND m.deleted_at IS NULL WHEN MATCHED AND m.role = 'staff' THEN UPDATE SET deleted_at = '2026-03-01';
