-- What counts as a predicate that binds a reference, and what only looks like one.

--@ case: tenant and soft delete in WHERE
--@ verdict: admit
SELECT id, label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: nothing at all
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT id, label FROM org_tags;

--@ case: the tenant alone
--@ verdict: refuse visible-deleted
SELECT id, label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: soft delete alone
--@ verdict: refuse unbound-tenant
SELECT id, label FROM org_tags WHERE deleted_at IS NULL;

--@ case: the constant stands first
--@ verdict: admit
SELECT n.body FROM org_notes n WHERE '11111111-1111-4111-8111-111111111111' = n.organization_id AND n.deleted_at IS NULL;

--@ case: a constant compared with itself
--@ verdict: refuse unbound-tenant
SELECT n.body FROM org_notes n WHERE '11111111-1111-4111-8111-111111111111' = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL;

--@ case: the column's name as a string
--@ verdict: refuse unbound-tenant
SELECT n.body FROM org_notes n WHERE 'organization_id' <> '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL;

--@ case: IN with the tenant alone
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id IN ('11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: IN with the tenant and another
--@ verdict: refuse foreign-tenant
SELECT sku FROM org_products WHERE organization_id IN ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222') AND deleted_at IS NULL;

--@ case: IN with the tenant twice
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id IN ('11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111'::uuid) AND deleted_at IS NULL;

--@ case: IN with the column itself
--@ verdict: refuse unbound-tenant
SELECT sku FROM org_products WHERE organization_id IN ('11111111-1111-4111-8111-111111111111', organization_id) AND deleted_at IS NULL;

--@ case: NOT IN
--@ verdict: refuse unbound-tenant
SELECT sku FROM org_products WHERE organization_id NOT IN ('11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: ANY of an array with one element
--@ verdict: admit
SELECT sku FROM org_products WHERE organization_id = ANY (ARRAY['11111111-1111-4111-8111-111111111111']::uuid[]) AND deleted_at IS NULL;

--@ case: ANY of an array with both
--@ verdict: refuse foreign-tenant
SELECT sku FROM org_products WHERE organization_id = ANY (ARRAY['11111111-1111-4111-8111-111111111111'::uuid, '22222222-2222-4222-8222-222222222222'::uuid]) AND deleted_at IS NULL;

--@ case: ANY of an array that holds the column
--@ verdict: refuse unbound-tenant
SELECT sku FROM org_products WHERE organization_id = ANY (ARRAY['11111111-1111-4111-8111-111111111111'::uuid, organization_id]) AND deleted_at IS NULL;

--@ case: ALL of an empty array is true
--@ verdict: refuse unbound-tenant
SELECT sku FROM org_products WHERE organization_id = ALL ('{}'::uuid[]) AND deleted_at IS NULL;

--@ case: different from none of the array
--@ verdict: refuse unbound-tenant
SELECT sku FROM org_products WHERE organization_id <> ALL (ARRAY['11111111-1111-4111-8111-111111111111']::uuid[]) AND deleted_at IS NULL;

--@ case: IS NOT DISTINCT FROM a constant
--@ verdict: admit
SELECT number FROM org_orders WHERE organization_id IS NOT DISTINCT FROM '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: IS DISTINCT FROM
--@ verdict: refuse unbound-tenant
SELECT number FROM org_orders WHERE organization_id IS DISTINCT FROM '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: not distinct from itself
--@ verdict: refuse unbound-tenant
SELECT number FROM org_orders WHERE organization_id IS NOT DISTINCT FROM organization_id AND deleted_at IS NULL;

--@ case: NOT of an inequality
--@ verdict: admit
SELECT number FROM org_orders WHERE NOT (organization_id <> '11111111-1111-4111-8111-111111111111') AND NOT (deleted_at IS NOT NULL);

--@ case: NOT of the equality
--@ verdict: refuse unbound-tenant
SELECT number FROM org_orders WHERE NOT (organization_id = '11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: NOT of an OR, by De Morgan
--@ verdict: admit
SELECT number FROM org_orders WHERE NOT (organization_id <> '11111111-1111-4111-8111-111111111111' OR deleted_at IS NOT NULL OR status = 'void');

--@ case: NOT of an AND is an OR
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT number FROM org_orders WHERE NOT (organization_id <> '11111111-1111-4111-8111-111111111111' AND deleted_at IS NOT NULL);

--@ case: double negation
--@ verdict: admit
SELECT number FROM org_orders WHERE NOT (NOT (organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL));

--@ case: OR true opens the predicate
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL OR true;

--@ case: OR in parentheses beside soft delete
--@ verdict: refuse unbound-tenant
SELECT name FROM org_customers WHERE (organization_id = '11111111-1111-4111-8111-111111111111' OR balance = 20) AND deleted_at IS NULL;

--@ case: an honest OR between other columns
--@ verdict: admit
SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND (balance = 20 OR region_id = 1);

--@ case: the same without its parentheses
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND balance = 20 OR region_id = 1;

--@ case: every arm of the OR binds
--@ verdict: admit
SELECT name FROM org_customers WHERE (organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND balance = 10) OR (organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND region_id = 2);

--@ case: every arm binds the tenant, soft delete outside
--@ verdict: admit
SELECT name FROM org_customers WHERE ((organization_id = '11111111-1111-4111-8111-111111111111' AND balance = 10) OR (organization_id = '11111111-1111-4111-8111-111111111111' AND region_id = 2)) AND deleted_at IS NULL;

--@ case: one arm forgets the tenant
--@ verdict: refuse unbound-tenant
SELECT name FROM org_customers WHERE ((organization_id = '11111111-1111-4111-8111-111111111111' AND balance = 10) OR region_id = 2) AND deleted_at IS NULL;

--@ case: one arm forgets soft delete
--@ verdict: refuse visible-deleted
SELECT name FROM org_customers WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND ((deleted_at IS NULL AND balance = 10) OR region_id = 2);

--@ case: one arm is bound to the other tenant
--@ verdict: refuse foreign-tenant
SELECT name FROM org_customers WHERE (organization_id = '11111111-1111-4111-8111-111111111111' OR organization_id = '22222222-2222-4222-8222-222222222222') AND deleted_at IS NULL;

--@ case: nested OR whose every leaf binds
--@ verdict: admit
SELECT name FROM org_customers WHERE ((organization_id = '11111111-1111-4111-8111-111111111111' AND (balance = 1 OR balance = 20)) OR ((organization_id = '11111111-1111-4111-8111-111111111111' AND region_id = 1) OR (organization_id = '11111111-1111-4111-8111-111111111111' AND region_id = 3))) AND deleted_at IS NULL;

--@ case: IS TRUE keeps the predicate
--@ verdict: admit
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') IS TRUE AND (deleted_at IS NULL) IS TRUE;

--@ case: IS NOT NULL swallows the predicate
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') IS NOT NULL AND deleted_at IS NULL;

--@ case: IS NOT TRUE turns it round
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') IS NOT TRUE AND deleted_at IS NULL;

--@ case: IS FALSE turns it round
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') IS FALSE AND deleted_at IS NULL;

--@ case: IS UNKNOWN
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE ((organization_id = '11111111-1111-4111-8111-111111111111') IS UNKNOWN) = false AND deleted_at IS NULL;

--@ case: the predicate in a list of booleans
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') IN (true, false) AND deleted_at IS NULL;

--@ case: the predicate compared as a value
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') >= false AND deleted_at IS NULL;

--@ case: the predicate equals itself
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111') = (organization_id = '11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: the predicate inside CASE
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE CASE WHEN organization_id = '11111111-1111-4111-8111-111111111111' THEN true ELSE true END AND deleted_at IS NULL;

--@ case: the predicate inside COALESCE
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE coalesce(nullif(organization_id = '11111111-1111-4111-8111-111111111111', false), true) AND deleted_at IS NULL;

--@ case: the column inside COALESCE
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id = coalesce(organization_id, '11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: the column inside CASE
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id = CASE WHEN subject_id IS NULL THEN organization_id ELSE '11111111-1111-4111-8111-111111111111'::uuid END AND deleted_at IS NULL;

--@ case: the predicate inside a row
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE ROW (organization_id = '11111111-1111-4111-8111-111111111111', 1) IS NOT NULL AND deleted_at IS NULL;

--@ case: the predicate as an argument
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE jsonb_build_array(organization_id = '11111111-1111-4111-8111-111111111111') IS NOT NULL AND deleted_at IS NULL;

--@ case: the predicate as text
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE (organization_id = '11111111-1111-4111-8111-111111111111')::text <> 'x' AND deleted_at IS NULL;

--@ case: greater or equal
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id >= '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: BETWEEN
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id BETWEEN '11111111-1111-4111-8111-111111111111' AND '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: not equal
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id <> '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the column equals itself
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id = organization_id AND deleted_at IS NULL;

--@ case: IS NOT NULL
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id IS NOT NULL AND deleted_at IS NULL;

--@ case: LIKE over the text of the column
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id::text LIKE '%-%' AND deleted_at IS NULL;

--@ case: the text of the column
--@ verdict: refuse unbound-tenant
--@ note: equal to RLS; only a comparison of the bare column proves
SELECT body FROM org_notes WHERE organization_id::text = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: another column with the tenant's value
--@ verdict: refuse unbound-tenant
SELECT number FROM org_orders WHERE partner_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a value looked up elsewhere
--@ verdict: refuse unbound-tenant
SELECT body FROM org_notes WHERE organization_id = (SELECT id FROM organizations WHERE slug = 'beta') AND deleted_at IS NULL;

--@ case: a constant in a subquery
--@ verdict: admit
SELECT body FROM org_notes WHERE organization_id = (SELECT '11111111-1111-4111-8111-111111111111'::uuid) AND deleted_at IS NULL;

--@ case: the other tenant as a constant in a subquery
--@ verdict: refuse foreign-tenant
SELECT body FROM org_notes WHERE organization_id = (SELECT '22222222-2222-4222-8222-222222222222'::uuid) AND deleted_at IS NULL;

--@ case: row equality
--@ verdict: admit
SELECT total FROM org_orders WHERE (organization_id, status) = ('11111111-1111-4111-8111-111111111111', 'open') AND deleted_at IS NULL;

--@ case: row order is lexicographic
--@ verdict: refuse unbound-tenant
SELECT total FROM org_orders WHERE (organization_id, number) >= ('11111111-1111-4111-8111-111111111111', 0) AND deleted_at IS NULL;

--@ case: NOT of a row equality
--@ verdict: refuse unbound-tenant
--@ note: the rows of the tenant, or of the status
SELECT total FROM org_orders WHERE NOT ((organization_id, status) = ('11111111-1111-4111-8111-111111111111', 'open')) AND deleted_at IS NULL;

--@ case: rows in a list of one tenant
--@ verdict: admit
SELECT total FROM org_orders WHERE (organization_id, number) IN (('11111111-1111-4111-8111-111111111111', 1), ('11111111-1111-4111-8111-111111111111', 3)) AND deleted_at IS NULL;

--@ case: rows in a list of two tenants
--@ verdict: refuse foreign-tenant
SELECT total FROM org_orders WHERE (organization_id, number) IN (('11111111-1111-4111-8111-111111111111', 1), ('22222222-2222-4222-8222-222222222222', 3)) AND deleted_at IS NULL;

--@ case: both tenants at once select nothing
--@ verdict: admit
SELECT total FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: a predicate in the select list
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT organization_id = '11111111-1111-4111-8111-111111111111' AS mine, deleted_at IS NULL AS live, total FROM org_orders;

--@ case: a predicate in ORDER BY
--@ verdict: refuse unbound-tenant
SELECT total FROM org_orders WHERE deleted_at IS NULL ORDER BY organization_id = '11111111-1111-4111-8111-111111111111' DESC, id;

--@ case: pg_catalog's own equality, spelt out
--@ verdict: admit
SELECT total FROM org_orders WHERE organization_id OPERATOR(pg_catalog.=) '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: an operator of another schema
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL unless somebody has made such an operator
SELECT total FROM org_orders WHERE organization_id OPERATOR(public.=) '11111111-1111-4111-8111-111111111111'::uuid AND deleted_at IS NULL;

--@ case: TABLE is a reference
--@ verdict: refuse unbound-tenant, visible-deleted
TABLE org_orders;

--@ case: TABLE of a shared table
--@ verdict: admit
TABLE countries;

--@ case: TABLESAMPLE on a bound reference
--@ verdict: admit
SELECT number FROM org_orders TABLESAMPLE BERNOULLI (100) REPEATABLE (7) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: TABLESAMPLE on an unbound one
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT number FROM org_orders TABLESAMPLE BERNOULLI (100) REPEATABLE (7);

--@ case: locking clauses bind nothing
--@ verdict: refuse unbound-tenant
SELECT number FROM org_orders WHERE deleted_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED;

--@ case: a locked queue of one tenant
--@ verdict: admit
SELECT number FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND status = 'open' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED;

--@ case: a uuid in the other case
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = upper('11111111-1111-4111-8111-111111111111')::uuid AND deleted_at IS NULL;

--@ case: another uuid in the other case
--@ verdict: refuse foreign-tenant
SELECT name FROM org_products WHERE organization_id = CAST(lower('22222222-2222-4222-8222-222222222222') AS uuid) AND deleted_at IS NULL;

--@ case: the tenant column's text in the other case
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE upper(organization_id::text) = upper('11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: a text with code points
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = U&'\0031\+000031111111-1111-4111-8111-111111111111'::uuid AND deleted_at IS NULL;

--@ case: another tenant in code points
--@ verdict: refuse foreign-tenant
SELECT name FROM org_products WHERE organization_id = U&'\00322222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: a text that goes on in the next line
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = '11111111'
  '-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: another tenant that goes on in the next line
--@ verdict: refuse foreign-tenant
SELECT name FROM org_products WHERE organization_id = '22222222'
  '-2222-4222-8222-222222222222' AND deleted_at IS NULL;
