-- Literals and parameters: which value a reference is bound to.

--@ case: computed from the tenant
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = upper('11111111-1111-4111-8111-111111111111')::uuid AND deleted_at IS NULL;

--@ case: braces
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '{11111111-1111-4111-8111-111111111111}' AND deleted_at IS NULL;

--@ case: no hyphens
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111111141118111111111111111' AND deleted_at IS NULL;

--@ case: hyphens after every four digits
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '1111-1111-1111-4111-8111-1111-1111-1111'::uuid AND deleted_at IS NULL;

--@ case: the other tenant without hyphens
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = '22222222222242228222222222222222' AND deleted_at IS NULL;

--@ case: the other tenant in braces
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = '{22222222-2222-4222-8222-222222222222}'::uuid AND deleted_at IS NULL;

--@ case: a cast
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111'::uuid AND deleted_at IS NULL;

--@ case: CAST
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = CAST('11111111-1111-4111-8111-111111111111' AS uuid) AND deleted_at IS NULL;

--@ case: a typed literal
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = uuid '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a cast to pg_catalog's type
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111'::pg_catalog.uuid AND deleted_at IS NULL;

--@ case: a cast by way of text
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111'::text::uuid AND deleted_at IS NULL;

--@ case: a cast to a type of another schema
--@ verdict: refuse unbound-tenant
--@ note: an error in PostgreSQL unless somebody has made such a type
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111'::public.uuid AND deleted_at IS NULL;

--@ case: an escape string that spells the tenant
--@ verdict: refuse unbound-tenant
--@ note: equal to RLS; escapes are not believed
SELECT label FROM org_tags WHERE organization_id = E'\x31\u00311\0611111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: dollar quotes
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = $tenant$11111111-1111-4111-8111-111111111111$tenant$ AND deleted_at IS NULL;

--@ case: dollar quotes around the other tenant
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = $$22222222-2222-4222-8222-222222222222$$ AND deleted_at IS NULL;

--@ case: the empty array
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = ANY ('{}'::uuid[]) AND deleted_at IS NULL;

--@ case: an array literal with the tenant
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = ANY ('{11111111-1111-4111-8111-111111111111}'::uuid[]) AND deleted_at IS NULL;

--@ case: an array literal with both
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = ANY ('{11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222}'::uuid[]) AND deleted_at IS NULL;

--@ case: NULL matches nothing
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = NULL AND deleted_at IS NULL;

--@ case: NULL and the tenant in a list
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id IN (NULL, '11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: the other tenant
--@ verdict: refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: a tenant that does not exist
--@ verdict: refuse foreign-tenant
--@ note: there are no rows of it here, but there may be one day
SELECT label FROM org_tags WHERE organization_id = '33333333-3333-4333-8333-333333333333' AND deleted_at IS NULL;

--@ case: a parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant | NULL -> admit
SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL;

--@ case: a parameter in other spellings
--@ verdict: admit
--@ bind: 11111111111141118111111111111111 -> admit | {11111111-1111-4111-8111-111111111111} -> admit | 22222222222242228222222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL;

--@ case: a parameter on the left
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE $1 = organization_id AND deleted_at IS NULL;

--@ case: a parameter with a cast
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = $1::uuid AND deleted_at IS NULL;

--@ case: a parameter by way of text
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = CAST($1::text AS uuid) AND deleted_at IS NULL;

--@ case: a parameter that is not distinct
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant | NULL -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id IS NOT DISTINCT FROM $1 AND deleted_at IS NULL;

--@ case: two parameters for two tables
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant | 22222222-2222-4222-8222-222222222222, 11111111-1111-4111-8111-111111111111 -> refuse foreign-tenant
SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = $1 AND n.organization_id = $2 AND t.deleted_at IS NULL AND n.deleted_at IS NULL;

--@ case: one parameter for two tables
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = $1 AND n.organization_id = $1 AND t.deleted_at IS NULL AND n.deleted_at IS NULL;

--@ session: unknown
--@ case: two parameters, the session's tenant unknown
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222, 22222222-2222-4222-8222-222222222222 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse mixed-tenants
SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = $1 AND n.organization_id = $2 AND t.deleted_at IS NULL AND n.deleted_at IS NULL;

--@ session: unknown
--@ case: a constant and a parameter, the session's tenant unknown
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse mixed-tenants
SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND n.organization_id = $1 AND n.deleted_at IS NULL;

--@ session: unknown
--@ case: one constant, the session's tenant unknown
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ session: unknown
--@ case: two constants in a list, the session's tenant unknown
--@ verdict: refuse mixed-tenants
SELECT label FROM org_tags WHERE organization_id IN ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222') AND deleted_at IS NULL;

--@ session: unknown
--@ case: nothing bound, the session's tenant unknown
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE deleted_at IS NULL;

--@ case: a list of parameters
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id IN ($1, $2) AND deleted_at IS NULL;

--@ case: an array parameter
--@ verdict: admit
--@ bind: {11111111-1111-4111-8111-111111111111} -> admit | {11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222} -> refuse foreign-tenant | {} -> admit | NULL -> admit
SELECT label FROM org_tags WHERE organization_id = ANY ($1) AND deleted_at IS NULL;

--@ case: an array parameter with a cast
--@ verdict: admit
--@ bind: {11111111-1111-4111-8111-111111111111} -> admit | {"22222222-2222-4222-8222-222222222222"} -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = ANY (CAST($1::uuid[] AS uuid[])) AND deleted_at IS NULL;

--@ case: parameters inside an array
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = ANY (ARRAY[$1, $2]::uuid[]) AND deleted_at IS NULL;

--@ case: a parameter opens the OR
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE (organization_id = $1 OR $2::boolean) AND deleted_at IS NULL;

--@ case: an optional filter on another column
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, sale -> admit | 11111111-1111-4111-8111-111111111111, NULL -> admit | 22222222-2222-4222-8222-222222222222, sale -> refuse foreign-tenant
SELECT label FROM org_tags WHERE organization_id = $1 AND ($2::text IS NULL OR label = $2) AND deleted_at IS NULL;

--@ case: an optional filter on the tenant
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE ($1::uuid IS NULL OR organization_id = $1) AND deleted_at IS NULL;

--@ case: the tenant in COALESCE with a parameter
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE organization_id = coalesce($1::uuid, organization_id) AND deleted_at IS NULL;

--@ case: a parameter in a row
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, sale -> admit | 22222222-2222-4222-8222-222222222222, sale -> refuse foreign-tenant
SELECT label FROM org_tags WHERE (organization_id, label) = ($1, $2) AND deleted_at IS NULL;

--@ case: parameters for LIMIT and OFFSET
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 2, 1 -> admit
SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY id LIMIT $2 OFFSET $3;

--@ case: both arms of an OR with their own parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT label FROM org_tags WHERE ((organization_id = $1 AND label = 'new') OR (organization_id = $2 AND label = 'sale')) AND deleted_at IS NULL;

--@ case: a number is no uuid
--@ verdict: refuse foreign-tenant
--@ note: an error in PostgreSQL
SELECT label FROM org_tags WHERE organization_id = 'not a uuid' AND deleted_at IS NULL;

--@ case: a text is compared by an operator that somebody may have made
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111'::text AND deleted_at IS NULL;

--@ case: a setting without its cast is a text
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE organization_id = current_setting('app.organization_id') AND deleted_at IS NULL;

--@ case: the result of a subquery has a type
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE organization_id = (SELECT '11111111-1111-4111-8111-111111111111') AND deleted_at IS NULL;

--@ case: the elements of an array have a type
--@ verdict: refuse unbound-tenant
SELECT name FROM org_products WHERE organization_id = ANY (ARRAY['11111111-1111-4111-8111-111111111111']) AND deleted_at IS NULL;

--@ case: one element gives its type to the others
--@ verdict: admit
SELECT name FROM org_products WHERE organization_id = ANY (ARRAY['11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111'::uuid]) AND deleted_at IS NULL;

--@ case: an index may be named like a guarded table
--@ verdict: admit
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS org_units_name ON orgunits (name);

--@ case: a parameter in the other case
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT name FROM org_products WHERE organization_id = upper($1)::uuid AND deleted_at IS NULL;
