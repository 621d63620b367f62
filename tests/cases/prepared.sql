-- PREPARE, EXECUTE, DECLARE, FETCH, EXPLAIN. PREPARE and DECLARE give nothing away themselves, so those
-- that are refused do not differ from row-level security before they are executed or fetched from.

--@ case: PREPARE with a parameter for the tenant
--@ verdict: admit
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL;

--@ case: PREPARE of a loose statement
--@ verdict: refuse unbound-tenant
PREPARE tags AS SELECT label FROM org_tags WHERE deleted_at IS NULL;

--@ case: PREPARE of a loose DELETE
--@ verdict: refuse unbound-tenant, visible-deleted
PREPARE purge (uuid) AS DELETE FROM org_notes WHERE id = $1;

--@ case: PREPARE of shared data
--@ verdict: admit
PREPARE codes AS SELECT code FROM plans;

--@ case: EXECUTE with the tenant
--@ verdict: admit
--@ string
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL; EXECUTE tags ('11111111-1111-4111-8111-111111111111');

--@ case: EXECUTE with the other tenant
--@ verdict: refuse foreign-tenant
--@ string
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL; EXECUTE tags ('22222222-2222-4222-8222-222222222222');

--@ case: EXECUTE with a NULL
--@ verdict: admit
--@ string
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL; EXECUTE tags (NULL);

--@ case: EXECUTE with a value of two
--@ verdict: refuse foreign-tenant
--@ string
PREPARE both_of (uuid, uuid) AS SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = $1 AND n.organization_id = $2 AND t.deleted_at IS NULL AND n.deleted_at IS NULL; EXECUTE both_of ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');

--@ case: EXECUTE of a bound write
--@ verdict: admit
--@ string
PREPARE rename_tag (uuid, text) AS UPDATE org_tags SET label = $2 WHERE organization_id = $1 AND deleted_at IS NULL AND label = 'new' RETURNING label; EXECUTE rename_tag ('11111111-1111-4111-8111-111111111111', 'newer');

--@ case: DEALLOCATE
--@ verdict: admit
DEALLOCATE ALL;

--@ case: a cursor over a bound query
--@ verdict: admit
DECLARE org_tags CURSOR FOR SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a cursor over a loose query
--@ verdict: refuse unbound-tenant, visible-deleted
DECLARE c NO SCROLL CURSOR FOR SELECT label FROM org_tags;

--@ case: a cursor WITH HOLD over TABLE
--@ verdict: refuse unbound-tenant, visible-deleted
DECLARE c BINARY CURSOR WITH HOLD FOR TABLE org_tags;

--@ case: a cursor over the other tenant
--@ verdict: refuse foreign-tenant
DECLARE c CURSOR FOR SELECT label FROM org_tags WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL;

--@ case: a cursor declared and read
--@ verdict: admit
--@ string
DECLARE c CURSOR FOR SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id; FETCH FORWARD 1 FROM c; FETCH ALL FROM c;

--@ case: CLOSE
--@ verdict: admit
CLOSE ALL;

--@ case: a loose statement explained
--@ verdict: refuse unbound-tenant, visible-deleted
EXPLAIN (COSTS OFF) SELECT label FROM org_tags;

--@ case: a loose write explained and run
--@ verdict: refuse unbound-tenant, visible-deleted
EXPLAIN (ANALYZE, COSTS OFF) UPDATE org_products SET stock = 0;

--@ case: a bound write explained
--@ verdict: admit
EXPLAIN (COSTS FALSE, VERBOSE) UPDATE org_products SET stock = 0 WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: EXPLAIN of EXECUTE with the other tenant
--@ verdict: refuse foreign-tenant
--@ string
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL; EXPLAIN (COSTS OFF) EXECUTE tags ('22222222-2222-4222-8222-222222222222');

--@ case: a table from EXECUTE
--@ verdict: refuse not-understood
--@ string
PREPARE tags (uuid) AS SELECT label FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL; CREATE TEMP TABLE kept AS EXECUTE tags ('22222222-2222-4222-8222-222222222222');

--@ case: PREPARE of a loose cursor inside a string
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
PREPARE one AS SELECT 1; PREPARE two AS TABLE org_notes;

--@ case: EXECUTE with a value that is computed
--@ verdict: refuse not-understood
--@ string
PREPARE tags (text) AS SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label = $1; EXECUTE tags (current_role)
