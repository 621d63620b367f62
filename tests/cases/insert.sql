-- INSERT: every row carries the tenant.

--@ case: VALUES with the tenant
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'hello');

--@ case: VALUES with the tenant, columns in another order
--@ verdict: admit
INSERT INTO org_notes (body, organization_id, id) VALUES ('hello', '11111111-1111-4111-8111-111111111111'::uuid, 'cccccccc-0000-4000-8000-000000000001') RETURNING id, body;

--@ case: VALUES with the other tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'planted');

--@ case: two rows, both with the tenant
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'one'), ('cccccccc-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'two');

--@ case: two rows, one with the other tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'one'), ('cccccccc-0000-4000-8000-000000000002', '22222222-2222-4222-8222-222222222222', 'two');

--@ case: the tenant in the wrong column
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, subject_id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', 'planted');

--@ case: the tenant column left out
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', 'nobody''s');

--@ case: the tenant column left to DEFAULT
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', DEFAULT, 'nobody''s');

--@ case: DEFAULT VALUES
--@ verdict: refuse foreign-insert
INSERT INTO org_notes DEFAULT VALUES;

--@ case: no column list
--@ verdict: refuse foreign-insert
--@ note: sound if the second column is the tenant's, which only the catalogue knows
INSERT INTO org_notes VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', NULL, 'hello');

--@ case: DEFAULT for other columns
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body, meta, created_at) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'hello', DEFAULT, DEFAULT);

--@ case: the tenant as an expression
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', coalesce(NULL, '22222222-2222-4222-8222-222222222222'::uuid), 'planted');

--@ case: the tenant looked up
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', (SELECT id FROM organizations WHERE slug = 'beta'), 'planted');

--@ case: a row of parameters
--@ verdict: admit
--@ bind: cccccccc-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, hello -> admit | cccccccc-0000-4000-8000-000000000001, 22222222-2222-4222-8222-222222222222, hello -> refuse foreign-insert | cccccccc-0000-4000-8000-000000000001, NULL, hello -> refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ($1, $2, $3);

--@ case: two rows of parameters
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', $1, 'one'), ('cccccccc-0000-4000-8000-000000000002', $2, 'two');

--@ case: a bound subquery as a value
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', (SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND sku = 'P-1'));

--@ case: a loose subquery as a value
--@ verdict: refuse unbound-tenant, visible-deleted
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', (SELECT string_agg(name, ',' ORDER BY name) FROM org_products)) RETURNING body;

--@ case: a key found by a loose subquery
--@ verdict: refuse unbound-tenant
INSERT INTO org_orders (id, organization_id, number, customer_id) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 77, (SELECT id FROM org_customers WHERE email = 'bob@b.test' AND deleted_at IS NULL));

--@ case: RETURNING with a loose subquery
--@ verdict: refuse unbound-tenant, visible-deleted
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') RETURNING (SELECT count(*) FROM org_tags);

--@ case: RETURNING with a bound subquery
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') RETURNING id, (SELECT count(*) FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: from a bound query, with its own tenant
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, subject_id, body) SELECT t.id, t.organization_id, t.id, t.label FROM org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: from a bound query, with a constant
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body) SELECT t.id, '11111111-1111-4111-8111-111111111111', t.label FROM org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: from a bound query, with another column as the tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) SELECT o.id, coalesce(o.partner_id, '22222222-2222-4222-8222-222222222222'), o.status FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: from a loose query, with a constant
--@ verdict: refuse unbound-tenant
INSERT INTO org_notes (id, organization_id, body) SELECT t.id, '11111111-1111-4111-8111-111111111111', t.label FROM org_tags t WHERE t.deleted_at IS NULL;

--@ case: from a loose query, with its own tenant
--@ verdict: refuse foreign-insert, unbound-tenant
INSERT INTO org_notes (id, organization_id, body) SELECT t.id, t.organization_id, t.label FROM org_tags t WHERE t.deleted_at IS NULL;

--@ case: from shared data, with a constant
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) SELECT '11111111-1111-4111-8111-111111111111', p.code, p.name FROM plans p;

--@ case: from shared data, with its own key
--@ verdict: refuse foreign-insert
INSERT INTO org_settings (organization_id, key, value) SELECT g.id, 'name', g.name FROM organizations g;

--@ case: from shared data bound to the tenant
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) SELECT m.organization_id, m.user_id::text, m.role FROM memberships m WHERE m.organization_id = '11111111-1111-4111-8111-111111111111' AND m.deleted_at IS NULL;

--@ case: from unnest, with a constant
--@ verdict: admit
--@ bind: {red,green} -> admit
INSERT INTO org_settings (organization_id, key, value) SELECT '11111111-1111-4111-8111-111111111111', u, u FROM unnest($1::text[]) u;

--@ case: from unnest, with the tenant out of it
--@ verdict: refuse foreign-insert
INSERT INTO org_settings (organization_id, key, value) SELECT u, 'k', 'v' FROM unnest(ARRAY['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']::uuid[]) u;

--@ case: from unnest of several arrays, as Django's bulk_create writes
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM UNNEST(('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}')::uuid[], ('{11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}')::uuid[], ('{red,green}')::text[]) RETURNING id;

--@ case: from unnest of several arrays, one element the other tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222}'::uuid[], '{red,green}'::text[]);

--@ case: from unnest of several arrays, one element NULL
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111,NULL}'::uuid[], '{red,green}'::text[]);

--@ case: from unnest of several arrays, that of the tenant shorter
--@ verdict: refuse foreign-insert
--@ note: what it lacks is NULL
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111}'::uuid[], '{red,green}'::text[]);

--@ case: from unnest of several arrays, that of the tenant longer
--@ verdict: admit
INSERT INTO org_settings (organization_id, value, key) SELECT * FROM unnest(ARRAY['11111111-1111-4111-8111-111111111111','11111111-1111-4111-8111-111111111111']::uuid[], '{one}'::text[], ARRAY['k1','k2']::text[]);

--@ case: from unnest of several parameters
--@ verdict: admit
--@ bind: {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}, {red,green} -> admit | {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222}, {red,green} -> refuse foreign-insert | {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111,NULL}, {red,green} -> refuse foreign-insert | {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111}, {red,green} -> refuse foreign-insert | {cccccccc-0000-4000-8000-000000000001}, {11111111-1111-4111-8111-111111111111}, {red,green} -> refuse foreign-insert | {}, {}, {} -> admit
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]);

--@ case: from unnest of several parameters, by names
--@ verdict: admit
--@ bind: {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}, {red,green} -> admit | {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222}, {red,green} -> refuse foreign-insert | {cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}, {11111111-1111-4111-8111-111111111111}, {red,green} -> refuse foreign-insert
INSERT INTO org_tags (label, organization_id, id) SELECT upper(u.l), u.o, u.id FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u(id, o, l) WHERE u.l <> '';

--@ case: from unnest of several arrays, the tenant in the wrong column
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (organization_id, id, label) SELECT * FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}'::uuid[], '{red,green}'::text[]);

--@ case: from unnest with ordinality
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}'::uuid[]) WITH ORDINALITY;

--@ case: from unnest of an array of rows, which become several columns
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest('{}'::pairs[], '{11111111-1111-4111-8111-111111111111}'::uuid[], '{}'::text[]);

--@ case: from unnest of arrays without a type
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT * FROM unnest($1, $2, $3);

--@ case: from unnest of several arrays, in a query of which a filter is left
--@ verdict: admit
INSERT INTO org_notes (id, organization_id, body) SELECT s.a, s.b, s.c FROM (SELECT u.id AS a, u.o AS b, u.l AS c FROM unnest('{cccccccc-0000-4000-8000-000000000001,cccccccc-0000-4000-8000-000000000002}'::uuid[], '{11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}'::uuid[], '{red,green}'::text[]) AS u(id, o, l)) s;

--@ case: from a query that gives NULL
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT 'cccccccc-0000-4000-8000-000000000001'::uuid, NULL, 'x' FROM org_notes n WHERE n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL;

--@ case: from a derived table that gives NULL
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT 'cccccccc-0000-4000-8000-000000000001'::uuid, s.o, 'x' FROM (SELECT NULL::uuid AS o) s;

--@ case: from a query that gives a parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-insert | NULL -> refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT 'cccccccc-0000-4000-8000-000000000001'::uuid, s.o, 'x' FROM (SELECT $1::uuid AS o) s;

--@ case: from UNION, one arm with the other tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_settings (organization_id, key, value) SELECT '11111111-1111-4111-8111-111111111111'::uuid, 'k', 'v' UNION ALL SELECT '22222222-2222-4222-8222-222222222222'::uuid, 'k', 'v';

--@ case: from UNION, both arms with the tenant
--@ verdict: admit
INSERT INTO org_settings (organization_id, key, value) SELECT '11111111-1111-4111-8111-111111111111'::uuid, 'k', 'v' UNION ALL SELECT '11111111-1111-4111-8111-111111111111'::uuid, 'l', 'v';

--@ case: a junction row
--@ verdict: admit
INSERT INTO org_product_tags (organization_id, product_id, tag_id) VALUES ('11111111-1111-4111-8111-111111111111', 'a1000000-0000-4000-8000-000000000004', 'a6000000-0000-4000-8000-000000000001');

--@ case: a junction row without its tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_product_tags (product_id, tag_id) VALUES ('a1000000-0000-4000-8000-000000000004', 'a6000000-0000-4000-8000-000000000001');

--@ case: shared data from a loose query
--@ verdict: refuse unbound-tenant, visible-deleted
INSERT INTO orgunits (id, name) SELECT 100 + row_number() OVER (ORDER BY id), name FROM org_products;

--@ case: shared data from a bound query
--@ verdict: admit
INSERT INTO orgunits (id, name) SELECT 100 + row_number() OVER (ORDER BY id), name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: shared data alone
--@ verdict: admit
INSERT INTO countries (code, name) VALUES ('ES', 'Spain') RETURNING code;

--@ case: from TABLE
--@ verdict: refuse foreign-insert, unbound-tenant, visible-deleted
INSERT INTO archive.org_orders (id, organization_id, customer_id, partner_id, number, status, total, created_at, updated_at, deleted_at) TABLE public.org_orders;

--@ case: ON CONFLICT DO NOTHING
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'sale') ON CONFLICT DO NOTHING;

--@ case: ON CONFLICT DO NOTHING, the other tenant
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'planted') ON CONFLICT DO NOTHING;

--@ case: an alias for the target
--@ verdict: admit
INSERT INTO org_tags AS t (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x') RETURNING t.id, t.label;

--@ case: OVERRIDING changes nothing
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) OVERRIDING USER VALUE VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'x');

--@ case: one star has the columns that are left
--@ verdict: admit
INSERT INTO org_tags (id, label, organization_id) SELECT *, '11111111-1111-4111-8111-111111111111'::uuid FROM unnest(ARRAY['cccccccc-0000-4000-8000-000000000001'::uuid], ARRAY['x']);

--@ case: one star of a function, and the tenant under it
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) SELECT *, 'x' FROM unnest(ARRAY['cccccccc-0000-4000-8000-000000000001'::uuid], ARRAY['22222222-2222-4222-8222-222222222222'::uuid]);

--@ case: one star in each arm, and a foreign arm
--@ verdict: refuse foreign-insert
INSERT INTO org_tags (id, label, organization_id) SELECT *, '11111111-1111-4111-8111-111111111111'::uuid FROM unnest(ARRAY['cccccccc-0000-4000-8000-000000000001'::uuid], ARRAY['x']) UNION ALL SELECT *, '22222222-2222-4222-8222-222222222222'::uuid FROM unnest(ARRAY['cccccccc-0000-4000-8000-000000000002'::uuid], ARRAY['y']);

--@ session: unknown
--@ case: rows of two tenants, the session's unknown
--@ verdict: refuse foreign-insert
INSERT INTO org_notes (id, organization_id, body) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'one'), ('cccccccc-0000-4000-8000-000000000002', '22222222-2222-4222-8222-222222222222', 'two');
