-- ON CONFLICT DO UPDATE changes a row that is there: it owes what an UPDATE owes.

--@ case: by the key, nothing else
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products (id, organization_id, sku, name) VALUES ('b1000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-50', 'taken') ON CONFLICT (id) DO UPDATE SET name = excluded.name;

--@ case: by the key, the target bound and live
--@ verdict: admit
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('a1000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-1', 'renamed') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: by the key, excluded bound instead of the target
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('b1000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-50', 'taken') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE excluded.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: by the key, the target's tenant equal to excluded's
--@ verdict: admit
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('a1000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-1', 'renamed') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE p.organization_id = excluded.organization_id AND p.deleted_at IS NULL;

--@ case: by the key, the target's tenant alone
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('a1000000-0000-4000-8000-000000000009', '11111111-1111-4111-8111-111111111111', 'P-9', 'revived') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE p.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: by an index with the tenant, the target live
--@ verdict: admit
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-2', 'renamed') ON CONFLICT (organization_id, sku) DO UPDATE SET name = excluded.name WHERE p.deleted_at IS NULL;

--@ case: by an index with the tenant, nothing else
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products (id, organization_id, sku, name) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-9', 'revived') ON CONFLICT (organization_id, sku) DO UPDATE SET name = excluded.name;

--@ case: by an index with the tenant, no soft delete there
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', 'theme', 'light') ON CONFLICT (organization_id, key) DO UPDATE SET value = excluded.value;

--@ case: by an index with the tenant, the other tenant
--@ verdict: refuse foreign-insert, unguarded-conflict
INSERT INTO org_settings (organization_id, key, value) VALUES ('22222222-2222-4222-8222-222222222222', 'theme', 'dark') ON CONFLICT (organization_id, key) DO UPDATE SET value = excluded.value;

--@ case: by a global unique column
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products (id, organization_id, sku, name, barcode) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'P-51', 'taken', 'BC-B1') ON CONFLICT (barcode) DO UPDATE SET name = excluded.name;

--@ case: by a constraint's name, the target bound and live
--@ verdict: admit
INSERT INTO org_tags AS t (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'sale') ON CONFLICT ON CONSTRAINT org_tags_organization_id_label_key DO UPDATE SET updated_at = '2026-03-01' WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: by a constraint's name, nothing else
--@ verdict: refuse unguarded-conflict
INSERT INTO org_tags (id, organization_id, label) VALUES ('b6000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') ON CONFLICT ON CONSTRAINT org_tags_pkey DO UPDATE SET label = 'taken';

--@ case: SET of the tenant column to excluded's
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', 'theme', 'light') ON CONFLICT (organization_id, key) DO UPDATE SET organization_id = excluded.organization_id, value = excluded.value;

--@ case: SET of the tenant column to the other tenant
--@ verdict: refuse tenant-move
INSERT INTO org_settings (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', 'lang', 'en') ON CONFLICT (organization_id, key) DO UPDATE SET organization_id = '22222222-2222-4222-8222-222222222222';

--@ case: a loose subquery in SET
--@ verdict: refuse unbound-tenant, visible-deleted
INSERT INTO org_settings (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', 'theme', 'x') ON CONFLICT (organization_id, key) DO UPDATE SET value = (SELECT string_agg(name, ',') FROM org_products);

--@ case: WHERE true
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('b1000000-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'P-52', 'taken') ON CONFLICT (id) DO UPDATE SET name = 'taken' WHERE true;

--@ case: WHERE with an OR
--@ verdict: refuse unguarded-conflict
INSERT INTO org_products AS p (id, organization_id, sku, name) VALUES ('b1000000-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'P-53', 'taken') ON CONFLICT (id) DO UPDATE SET name = 'taken' WHERE (p.organization_id = '11111111-1111-4111-8111-111111111111' OR p.stock > 0) AND p.deleted_at IS NULL;

--@ case: many rows of parameters by an index with the tenant
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, light, 11111111-1111-4111-8111-111111111111, en -> admit | 11111111-1111-4111-8111-111111111111, light, 22222222-2222-4222-8222-222222222222, en -> refuse foreign-insert, unguarded-conflict
INSERT INTO org_settings (organization_id, key, value) VALUES ($1, 'theme', $2), ($3, 'lang', $4) ON CONFLICT (organization_id, key) DO UPDATE SET value = excluded.value;

--@ case: from a bound query by an index with the tenant
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) SELECT t.organization_id, 'theme', max(t.label) FROM org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL GROUP BY t.organization_id ON CONFLICT (organization_id, key) DO UPDATE SET value = excluded.value;

--@ case: RETURNING after the update
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) VALUES ('11111111-1111-4111-8111-111111111111', 'lang', 'en') ON CONFLICT (organization_id, key) DO UPDATE SET value = excluded.value RETURNING key, value;

--@ case: a shared table
--@ verdict: admit
INSERT INTO countries (code, name) VALUES ('DE', 'Deutschland') ON CONFLICT (code) DO UPDATE SET name = excluded.name;

--@ case: an arm that fails is no predicate of a query: it tells of hidden rows
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE (organization_id = '11111111-1111-4111-8111-111111111111' OR pg_catalog.current_setting('no.such') IS NULL) AND deleted_at IS NULL;

--@ case: in DO UPDATE it fails where row-level security does
--@ verdict: admit
INSERT INTO org_tags AS t (id, organization_id, label) VALUES ('a6000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') ON CONFLICT (id) DO UPDATE SET label = 'y' WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL OR pg_catalog.current_setting('no.such') IS NULL;

--@ case: with an arm that may be true it binds nothing
--@ verdict: refuse unguarded-conflict
INSERT INTO org_tags AS t (id, organization_id, label) VALUES ('a6000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') ON CONFLICT (id) DO UPDATE SET label = 'y' WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL OR pg_catalog.current_setting('no.such') IS NULL OR t.label = 'z';

--@ case: with a second argument the function may give NULL
--@ verdict: refuse unguarded-conflict
INSERT INTO org_tags AS t (id, organization_id, label) VALUES ('a6000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') ON CONFLICT (id) DO UPDATE SET label = 'y' WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL OR pg_catalog.current_setting('no.such', true) IS NULL;
