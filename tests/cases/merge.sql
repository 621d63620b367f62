-- MERGE: the target is bound in ON, the source by itself, the rows written carry the tenant. Of
-- rows NOT MATCHED BY SOURCE, ON says nothing. BY SOURCE and RETURNING are of PostgreSQL 17.

--@ case: all of it
--@ verdict: admit
MERGE INTO org_tags t USING (VALUES ('sale'), ('fresh')) s(label) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.label = s.label WHEN MATCHED THEN UPDATE SET updated_at = '2026-03-01' WHEN NOT MATCHED THEN INSERT (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-00000000000' || length(s.label), '11111111-1111-4111-8111-111111111111', s.label);

--@ case: with a parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant, foreign-insert
MERGE INTO org_settings t USING (VALUES ('theme', 'dark')) s(key, value) ON t.organization_id = $1 AND t.key = s.key WHEN MATCHED THEN UPDATE SET value = s.value WHEN NOT MATCHED THEN INSERT (organization_id, key, value) VALUES ($1, s.key, s.value);

--@ case: nothing binds the target
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_products t USING (VALUES ('P-7')) s(sku) ON t.sku = s.sku WHEN MATCHED THEN UPDATE SET stock = 0;

--@ case: the target is not live
--@ verdict: refuse visible-deleted
MERGE INTO org_products t USING (VALUES ('P-9')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET stock = 0;

--@ case: the target is another tenant's
--@ verdict: refuse foreign-tenant
MERGE INTO org_products t USING (VALUES ('P-7')) s(sku) ON t.organization_id = '22222222-2222-4222-8222-222222222222' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET stock = 0;

--@ case: the target bound in WHEN only, so that foreign rows match
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_products t USING (VALUES ('P-7')) s(sku) ON t.sku = s.sku WHEN MATCHED AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL THEN UPDATE SET stock = 0 WHEN NOT MATCHED THEN INSERT (id, organization_id, sku, name) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', s.sku, 'A new');

--@ case: the target live in WHEN only
--@ verdict: refuse visible-deleted
MERGE INTO org_products t USING (VALUES ('P-9')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.sku = s.sku WHEN MATCHED AND t.deleted_at IS NULL THEN DELETE;

--@ case: an OR in ON
--@ verdict: refuse unbound-tenant
MERGE INTO org_products t USING (VALUES ('P-7')) s(sku) ON (t.organization_id = '11111111-1111-4111-8111-111111111111' OR t.sku = s.sku) AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET stock = 0;

--@ case: DO NOTHING, and conditions
--@ verdict: admit
MERGE INTO org_products AS t USING (VALUES ('P-1', 3), ('P-2', 0)) s(sku, n) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED AND s.n = 0 THEN DO NOTHING WHEN MATCHED AND t.stock > s.n THEN UPDATE SET stock = t.stock - s.n WHEN NOT MATCHED THEN DO NOTHING;

--@ case: DELETE
--@ verdict: admit
MERGE INTO org_product_tags t USING (VALUES ('a6000000-0000-4000-8000-000000000001'::uuid)) s(id) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.tag_id = s.id WHEN MATCHED THEN DELETE;

--@ case: a source that is bound
--@ verdict: admit
MERGE INTO org_products t USING (SELECT product_id, sum(quantity)::int AS n FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY product_id) s ON t.id = s.product_id AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET stock = t.stock - s.n;

--@ case: a source that is not bound
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_products t USING (SELECT product_id, sum(quantity)::int AS n FROM org_order_items GROUP BY product_id) s ON t.id = s.product_id AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET stock = t.stock - s.n;

--@ case: a guarded table as the source, bound in ON, matched rows only
--@ verdict: admit
MERGE INTO org_products t USING org_notes s ON s.subject_id = t.id AND s.organization_id = t.organization_id AND s.deleted_at IS NULL AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET name = s.body;

--@ case: a guarded table as the source, bound in ON, its unmatched rows too
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_tags t USING org_products s ON s.sku = t.label AND s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL WHEN NOT MATCHED THEN INSERT (id, organization_id, label) VALUES (s.id, '11111111-1111-4111-8111-111111111111', s.name);

--@ case: the target bound through a bound source
--@ verdict: admit
MERGE INTO org_products t USING (SELECT organization_id, sku, name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) s ON t.organization_id = s.organization_id AND t.sku = s.sku AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET name = s.name || '!' WHEN NOT MATCHED THEN INSERT (id, organization_id, sku, name) VALUES ('cccccccc-0000-4000-8000-000000000001', s.organization_id, s.sku, s.name);

--@ case: the target equal to a source of unknown tenant
--@ verdict: refuse unbound-tenant
MERGE INTO org_products t USING memberships s ON t.organization_id = s.organization_id AND t.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET stock = 0;

--@ case: the tenant column kept
--@ verdict: admit
MERGE INTO org_products t USING (VALUES ('P-1')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET organization_id = t.organization_id, name = 'A same';

--@ case: the tenant column moved
--@ verdict: refuse tenant-move
MERGE INTO org_products t USING (VALUES ('P-1')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET (name, organization_id) = ('x', t.supplier_id);

--@ case: a foreign row inserted
--@ verdict: refuse foreign-insert
MERGE INTO org_tags t USING (VALUES ('new')) s(label) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.label = s.label WHEN NOT MATCHED THEN INSERT (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', s.label);

--@ case: a row of nobody inserted
--@ verdict: refuse foreign-insert
MERGE INTO org_tags t USING (VALUES ('new')) s(label) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.label = s.label WHEN NOT MATCHED THEN INSERT (id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', s.label);

--@ case: a row inserted without a column list
--@ verdict: refuse foreign-insert
MERGE INTO org_settings t USING (VALUES ('a', 'b')) s(key, value) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.key WHEN NOT MATCHED THEN INSERT VALUES ('11111111-1111-4111-8111-111111111111', s.key, s.value);

--@ case: the inserted tenant from a source of unknown tenant
--@ verdict: refuse foreign-insert
MERGE INTO org_settings t USING memberships s ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.role WHEN NOT MATCHED THEN INSERT (organization_id, key, value) VALUES (s.organization_id, s.role, 'x');

--@ case: one clause of several writes a foreign row
--@ verdict: refuse foreign-insert
MERGE INTO org_settings t USING (VALUES ('a', 'b')) s(key, value) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.key WHEN NOT MATCHED AND s.key = 'z' THEN INSERT (organization_id, key, value) VALUES ('22222222-2222-4222-8222-222222222222', s.key, s.value) WHEN NOT MATCHED THEN INSERT (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', s.key, s.value);

--@ case: a loose subquery in SET
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_products t USING (VALUES ('P-1')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET name = (SELECT string_agg(p.name, ',') FROM org_products p);

--@ case: a correlated subquery in SET
--@ verdict: admit
MERGE INTO org_products t USING (VALUES ('P-1')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET name = coalesce((SELECT max(n.body) FROM org_notes n WHERE n.organization_id = t.organization_id AND n.deleted_at IS NULL), t.name);

--@ case: a loose subquery in a condition
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_products t USING (VALUES ('P-1')) s(sku) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED AND EXISTS (SELECT 1 FROM org_notes) THEN DELETE;

--@ case: a loose subquery in the values inserted
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_settings t USING (VALUES ('a')) s(key) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.key WHEN NOT MATCHED THEN INSERT (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', s.key, (SELECT max(body) FROM org_notes));

--@ case: RETURNING
--@ verdict: admit
MERGE INTO org_settings t USING (VALUES ('theme', 'A-r')) s(k, v) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v RETURNING merge_action(), t.value, s.*;

--@ case: RETURNING with a loose subquery
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO org_settings t USING (VALUES ('theme', 'A-r')) s(k, v) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v RETURNING (SELECT max(name) FROM org_products);

--@ case: BY SOURCE bound by its own condition
--@ verdict: admit
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' THEN DELETE RETURNING t.key;

--@ case: BY SOURCE bound and live, beside the others
--@ verdict: admit
MERGE INTO org_tags t USING (VALUES ('sale', 'cccccccc-0000-4000-8000-000000000001'::uuid), ('fresh', 'cccccccc-0000-4000-8000-000000000002'::uuid)) s(label, id) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.label = s.label WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED BY TARGET THEN INSERT (id, organization_id, label) VALUES (s.id, '11111111-1111-4111-8111-111111111111', s.label) WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL THEN UPDATE SET label = t.label || '!' RETURNING merge_action(), t.label;

--@ case: BY SOURCE bound by ON alone deletes every other tenant's rows
--@ verdict: refuse unbound-tenant
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE THEN DELETE;

--@ case: BY SOURCE bound, not live
--@ verdict: refuse visible-deleted
MERGE INTO org_tags t USING (VALUES ('sale')) s(label) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.label = s.label WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' THEN UPDATE SET updated_at = '2026-03-01';

--@ case: BY SOURCE bound to another tenant
--@ verdict: refuse foreign-tenant
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE AND t.organization_id = '22222222-2222-4222-8222-222222222222' THEN DELETE;

--@ case: BY SOURCE bound in one clause, not in the next
--@ verdict: refuse unbound-tenant
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' THEN DELETE WHEN NOT MATCHED BY SOURCE THEN UPDATE SET value = '';

--@ case: BY SOURCE that does nothing
--@ verdict: admit
MERGE INTO org_settings t USING (VALUES ('theme', 'dark')) s(k, v) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v WHEN NOT MATCHED BY SOURCE THEN DO NOTHING;

--@ case: BY SOURCE moves the tenant column
--@ verdict: refuse tenant-move
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' THEN UPDATE SET organization_id = '22222222-2222-4222-8222-222222222222';

--@ case: BY SOURCE, a source bound in ON
--@ verdict: admit
MERGE INTO org_products t USING org_notes s ON s.subject_id = t.id AND s.organization_id = t.organization_id AND s.deleted_at IS NULL AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL WHEN NOT MATCHED BY SOURCE AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL THEN UPDATE SET stock = 0 RETURNING t.sku;

--@ case: in WITH
--@ verdict: admit
WITH m AS (MERGE INTO org_settings t USING (VALUES ('theme', 'A-r')) s(k, v) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v RETURNING t.key, t.value) SELECT * FROM m;

--@ case: in WITH, not bound
--@ verdict: refuse unbound-tenant
WITH m AS (MERGE INTO org_settings t USING (VALUES ('theme', 'A-r')) s(k, v) ON t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v RETURNING t.key, t.value) SELECT * FROM m;

--@ case: a CTE as the source
--@ verdict: admit
WITH s AS (SELECT sku, stock FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) MERGE INTO org_products t USING s ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND t.sku = s.sku WHEN MATCHED THEN UPDATE SET stock = s.stock + 1;

--@ case: the target is never a CTE
--@ note: deleting a tag cascades into the junction
--@ verdict: refuse unbound-tenant, visible-deleted
WITH org_tags AS (SELECT 1 AS id) MERGE INTO org_tags t USING (VALUES ('sale')) s(label) ON t.label = s.label WHEN MATCHED THEN DELETE;

--@ case: a shared target, a guarded source
--@ verdict: refuse unbound-tenant, visible-deleted
MERGE INTO orgunits t USING org_products s ON t.name = s.name WHEN MATCHED THEN UPDATE SET name = s.sku;

--@ case: a shared target, a bound source
--@ verdict: admit
MERGE INTO orgunits t USING (SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) s ON t.name = s.name WHEN NOT MATCHED THEN INSERT VALUES (length(s.name) + 100, s.name);

--@ case: ONLY, in a schema, quoted
--@ verdict: admit
MERGE INTO ONLY "public"."org_settings" USING (SELECT 'theme' AS k) s ON org_settings.organization_id = '11111111-1111-4111-8111-111111111111' AND org_settings.key = s.k WHEN MATCHED THEN UPDATE SET value = DEFAULT;

--@ case: EXPLAIN
--@ verdict: admit
EXPLAIN (COSTS OFF) MERGE INTO org_settings t USING (VALUES ('theme', 'A-r')) s(k, v) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN MATCHED THEN UPDATE SET value = s.v;

--@ case: a fallible condition BY SOURCE may run on foreign rows
--@ strict
--@ verdict: refuse early-evaluation
MERGE INTO org_settings t USING (VALUES ('theme')) s(k) ON t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.key = s.k WHEN NOT MATCHED BY SOURCE AND t.value::int > 0 AND t.organization_id = '11111111-1111-4111-8111-111111111111' THEN DELETE;
