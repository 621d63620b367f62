-- Which relation and which column a name means.

--@ case: a column alias list moves another column to the tenant's name
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT p.id FROM org_orders AS p (id, x, y, organization_id, z, status, total, c, u, deleted_at) WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: a derived table renames another column
--@ verdict: refuse unbound-tenant
SELECT s.number FROM (SELECT number, partner_id AS organization_id, deleted_at FROM org_orders) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: a derived table renames the true columns
--@ verdict: admit
SELECT s.n FROM (SELECT number AS n, organization_id AS tenant, deleted_at AS gone FROM org_orders) s WHERE s.tenant = '11111111-1111-4111-8111-111111111111' AND s.gone IS NULL;

--@ case: a constant under the tenant's name
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.number FROM (SELECT number, '11111111-1111-4111-8111-111111111111'::uuid AS organization_id, NULL::timestamptz AS deleted_at FROM org_orders) s WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: alias list of a derived table over the true columns
--@ verdict: admit
SELECT s.n FROM (SELECT number, organization_id, deleted_at FROM org_orders) s (n, t, d) WHERE s.t = '11111111-1111-4111-8111-111111111111' AND s.d IS NULL;

--@ case: alias list of a derived table that swaps them
--@ verdict: refuse unbound-tenant
SELECT s.n FROM (SELECT number, organization_id, partner_id, deleted_at FROM org_orders) s (n, x, organization_id, deleted_at) WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: the inner alias shadows the outer one
--@ verdict: refuse unbound-tenant
SELECT a.name FROM org_customers a WHERE a.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_tags a WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL);

--@ case: each alias has its own predicate
--@ verdict: admit
SELECT a.name FROM org_customers a WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_tags a WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL);

--@ case: an unqualified column in a subquery over a shared table
--@ verdict: refuse unbound-tenant
SELECT name FROM org_customers WHERE deleted_at IS NULL AND (balance = 20 OR EXISTS (SELECT 1 FROM regions WHERE organization_id = '11111111-1111-4111-8111-111111111111'));

--@ case: a shared table's organization_id
--@ verdict: refuse unbound-tenant
SELECT o.number FROM org_orders o, memberships m WHERE m.organization_id = '11111111-1111-4111-8111-111111111111' AND m.deleted_at IS NULL AND o.deleted_at IS NULL;

--@ case: a derived table with the tenant's columns beside the guarded one
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number FROM org_orders o CROSS JOIN (SELECT '11111111-1111-4111-8111-111111111111'::uuid AS organization_id, NULL::timestamptz AS deleted_at) v WHERE v.organization_id = '11111111-1111-4111-8111-111111111111' AND v.deleted_at IS NULL;

--@ case: an unqualified column beside a table that lacks it
--@ verdict: admit
SELECT t.label, r.code FROM org_tags t, plans r WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL AND r.id = 1;

--@ case: a CTE named like a guarded table over shared data
--@ verdict: admit
WITH org_tags AS (SELECT id, code AS label FROM plans) SELECT label FROM org_tags;

--@ case: a CTE named like a guarded table over that table
--@ verdict: refuse unbound-tenant
WITH org_tags AS (SELECT * FROM public.org_tags WHERE organization_id IS NOT NULL) SELECT label FROM org_tags WHERE deleted_at IS NULL;

--@ case: a CTE does not see itself without RECURSIVE
--@ verdict: refuse unbound-tenant, visible-deleted
WITH org_tags AS (SELECT label FROM org_tags) SELECT label FROM org_tags;

--@ case: a CTE over the table of its own name, filtered outside
--@ verdict: admit
WITH org_tags AS (SELECT * FROM org_tags) SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a qualified name is never a CTE
--@ verdict: refuse unbound-tenant, visible-deleted
WITH org_tags AS (SELECT 1 AS id) SELECT t.label FROM org_tags c, public.org_tags t;

--@ case: an earlier CTE does not see a later one
--@ verdict: refuse unbound-tenant, visible-deleted
WITH a AS (SELECT label FROM org_tags), org_tags AS (SELECT 'x' AS label) SELECT label FROM a;

--@ case: a CTE ends with its own query
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT x.label FROM (WITH org_tags AS (SELECT code AS label FROM plans) SELECT label FROM org_tags) x UNION ALL SELECT label FROM org_tags;

--@ case: a quoted CTE name in another case is another name
--@ verdict: refuse unbound-tenant, visible-deleted
WITH "ORG_TAGS" AS (SELECT 'x' AS label) SELECT label FROM org_tags;

--@ case: a CTE with a guarded name, quoted in the same case
--@ verdict: admit
WITH "org_tags" AS (SELECT code AS label FROM plans) SELECT label FROM ORG_TAGS;

--@ case: DELETE does not see a CTE of its target's name
--@ verdict: refuse unbound-tenant, visible-deleted
WITH org_notes AS (SELECT 1 AS id) DELETE FROM org_notes;

--@ case: UPDATE does not see a CTE of its target's name
--@ verdict: refuse unbound-tenant, visible-deleted
WITH org_notes AS (SELECT 1 AS id) UPDATE org_notes SET body = 'x';

--@ case: names are folded
--@ verdict: admit
SELECT LABEL FROM ORG_Tags T WHERE T.Organization_Id = '11111111-1111-4111-8111-111111111111' AND t.DELETED_AT is null;

--@ case: folded, and unbound
--@ verdict: refuse unbound-tenant
SELECT Label FROM Org_Tags WHERE DELETED_AT IS NULL;

--@ case: quoted names
--@ verdict: admit
SELECT "t"."label" FROM "public"."org_tags" AS "t" WHERE "t"."organization_id" = '11111111-1111-4111-8111-111111111111' AND "t"."deleted_at" IS NULL;

--@ case: a table of another schema, bound
--@ verdict: admit
SELECT status FROM archive.org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a table of another schema, unbound
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT status FROM archive.org_orders;

--@ case: columns qualified by schema and table
--@ verdict: admit
SELECT public.org_tags.label FROM public.org_tags WHERE public.org_tags.organization_id = '11111111-1111-4111-8111-111111111111' AND public.org_tags.deleted_at IS NULL;

--@ case: a quoted name in upper case is guarded too
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name FROM "ORG_weird";

--@ case: a quoted name in upper case, bound
--@ verdict: admit
SELECT name FROM "ORG_weird" WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a quoted column in upper case is another column
--@ verdict: refuse unbound-tenant
--@ note: an error in PostgreSQL, where no such column exists
SELECT label FROM org_tags WHERE "ORGANIZATION_ID" = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the prefix's underscore is no wildcard
--@ verdict: admit
SELECT o.name, u.name FROM organizations o, orgunits u ORDER BY 1, 2;

--@ case: a name of 63 bytes, bound
--@ verdict: admit
SELECT name FROM org_abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_abcde WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a longer name is cut at 63 bytes
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name FROM org_abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_abcdefghijk;

--@ case: a guarded name as an alias of a shared table
--@ verdict: admit
SELECT org_tags.code FROM plans AS org_tags ORDER BY 1;

--@ case: a guarded table under a shared table's name
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT plans.label FROM org_tags AS plans;

--@ case: a guarded table under another's name
--@ verdict: admit
SELECT org_notes.label FROM org_tags AS org_notes WHERE org_notes.organization_id = '11111111-1111-4111-8111-111111111111' AND org_notes.deleted_at IS NULL;

--@ case: a guarded name as a column label
--@ verdict: admit
SELECT name AS org_orders FROM countries ORDER BY 1;

--@ case: a guarded name in a string
--@ verdict: admit
SELECT 'DELETE FROM org_orders' AS text, code FROM plans ORDER BY 2;

--@ case: columns that begin like guarded tables
--@ verdict: admit
SELECT o.id AS org_id, o.name AS org_name FROM organizations o ORDER BY 1;

--@ case: two references, the predicate names one twice
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT a.label, b.label FROM org_tags a, org_tags b WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND a.label <> b.label;

--@ case: two references of one table, each bound
--@ verdict: admit
SELECT a.label, b.label FROM org_tags a, org_tags b WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL ORDER BY 1, 2;

--@ case: a predicate about the table's own name behind an alias
--@ verdict: refuse unbound-tenant
--@ note: an error in PostgreSQL: the alias hides the name
SELECT t.label FROM org_tags t WHERE org_tags.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: the whole row of a bound reference
--@ verdict: admit
SELECT t, to_jsonb(t), row_to_json(t), t::text, count(t) OVER () FROM org_tags t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: the whole row of an unbound one
--@ verdict: refuse unbound-tenant
SELECT t FROM org_tags t WHERE t.deleted_at IS NULL;

--@ case: every column of one reference of two
--@ verdict: admit
SELECT t.*, p.code FROM org_tags t CROSS JOIN plans p WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;
