-- Settings: as a proof, and as a way out.

--@ case: the session's own setting proves
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = current_setting('app.organization_id')::uuid AND deleted_at IS NULL;

--@ case: with missing_ok
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = current_setting('app.organization_id', true)::uuid AND deleted_at IS NULL;

--@ case: with missing_ok and NULLIF
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND deleted_at IS NULL;

--@ case: in a scalar subquery
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = (SELECT current_setting('app.organization_id')::uuid) AND deleted_at IS NULL;

--@ case: with CAST and the schema's name
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = CAST(pg_catalog.current_setting('app.organization_id') AS uuid) AND deleted_at IS NULL;

--@ case: another setting
--@ verdict: refuse unbound-tenant
--@ note: an error in PostgreSQL unless the setting is set
SELECT label FROM org_tags WHERE organization_id = current_setting('app.other_organization')::uuid AND deleted_at IS NULL;

--@ case: another setting with missing_ok
--@ verdict: refuse unbound-tenant
--@ note: whoever sets it chooses the tenant
SELECT label FROM org_tags WHERE organization_id = nullif(current_setting('app.other_organization', true), '')::uuid AND deleted_at IS NULL;

--@ case: a setting's name that is computed
--@ verdict: refuse unbound-tenant
--@ note: equal to RLS; only a constant name proves
SELECT label FROM org_tags WHERE organization_id = current_setting('app.' || 'organization_id')::uuid AND deleted_at IS NULL;

--@ case: the setting inside COALESCE
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE organization_id = coalesce(nullif(current_setting('app.nothing', true), '')::uuid, organization_id) AND deleted_at IS NULL;

--@ case: an INSERT of the setting
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', current_setting('app.organization_id')::uuid, 'x');

--@ case: an INSERT of another setting
--@ verdict: refuse foreign-insert
--@ note: an error in PostgreSQL unless the setting is set
INSERT INTO org_tags (id, organization_id, label) VALUES ('cccccccc-0000-4000-8000-000000000001', current_setting('app.other_organization')::uuid, 'x');

--@ case: the setting of one table, a constant of the other
--@ verdict: admit
SELECT t.label, n.body FROM org_tags t, org_notes n WHERE t.organization_id = current_setting('app.organization_id')::uuid AND n.organization_id = '11111111-1111-4111-8111-111111111111' AND n.deleted_at IS NULL AND t.deleted_at IS NULL;

--@ case: setting the tenant
--@ verdict: admit
SET app.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: setting the tenant for a transaction
--@ verdict: admit
SET LOCAL app.organization_id TO '11111111-1111-4111-8111-111111111111';

--@ case: setting the tenant by a function
--@ verdict: admit
SELECT set_config('app.organization_id', '11111111-1111-4111-8111-111111111111', true);

--@ case: setting the tenant by a function with a parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
SELECT set_config('app.organization_id', $1, true);

--@ case: setting the tenant inside a query
--@ verdict: refuse session-escape
SELECT set_config('app.organization_id', m.organization_id::text, false) FROM memberships m;

--@ case: setting the tenant inside a guarded query
--@ verdict: refuse session-escape
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND set_config('app.organization_id', '22222222-2222-4222-8222-222222222222', false) IS NOT NULL;

--@ case: setting the tenant beside another item
--@ verdict: refuse session-escape
SELECT set_config('app.organization_id', '22222222-2222-4222-8222-222222222222', false), (SELECT count(*) FROM org_tags WHERE organization_id = current_setting('app.organization_id')::uuid AND deleted_at IS NULL);

--@ case: a setting whose name is a parameter
--@ verdict: refuse session-escape
SELECT set_config($1, $2, false);

--@ case: a setting whose name is computed, set
--@ verdict: refuse session-escape
SELECT set_config('app.' || 'organization_id', '22222222-2222-4222-8222-222222222222', false);

--@ case: resetting the tenant
--@ verdict: admit
RESET app.organization_id;

--@ case: RESET ALL
--@ verdict: admit
RESET ALL;

--@ case: showing the tenant
--@ verdict: admit
SHOW app.organization_id;

--@ case: SHOW ALL
--@ verdict: admit
SHOW ALL;

--@ case: a harmless setting
--@ verdict: admit
SET statement_timeout = '5s';

--@ case: a harmless setting for a transaction
--@ verdict: admit
SET LOCAL lock_timeout = 1000;

--@ case: the time zone
--@ verdict: admit
SET TIME ZONE 'UTC';

--@ case: an application's own setting
--@ verdict: admit
SET app.request_id = 'r-17';

--@ case: strings that read backslashes
--@ verdict: refuse session-escape
SET standard_conforming_strings = off;

--@ case: strings that read no backslashes
--@ verdict: admit
SET standard_conforming_strings = on;

--@ case: strings that read backslashes, by a function
--@ verdict: refuse session-escape
SELECT set_config('standard_conforming_strings', 'off', false);

--@ case: strings that read backslashes, in another case
--@ verdict: refuse session-escape
SET Standard_Conforming_Strings TO 'OFF';

--@ case: strings that read backslashes, by the view of settings
--@ verdict: refuse session-escape
UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings';

--@ case: reading the view of settings
--@ verdict: admit
SELECT name, setting FROM pg_settings WHERE name = 'work_mem';

--@ case: another encoding
--@ verdict: refuse session-escape
SET client_encoding = 'SJIS';

--@ case: another encoding by SET NAMES
--@ verdict: refuse session-escape
SET NAMES 'latin1';

--@ case: the same encoding
--@ verdict: admit
SET client_encoding TO 'UTF8';

--@ case: the search path
--@ verdict: refuse session-escape
SET search_path TO archive, public;

--@ case: the search path as it is
--@ verdict: admit
SET search_path = "$user", public;

--@ case: the search path by a function
--@ verdict: refuse session-escape
SELECT pg_catalog.set_config('search_path', 'archive', true);

--@ case: the search path emptied, as pg_dump does
--@ verdict: admit
SELECT pg_catalog.set_config('search_path', '', false);

--@ case: the search path by SET SCHEMA
--@ verdict: refuse session-escape
SET SCHEMA 'archive';

--@ case: another role
--@ verdict: refuse session-escape
SET ROLE postgres;

--@ case: another role for a transaction
--@ verdict: refuse session-escape
SET LOCAL ROLE app_admin;

--@ case: back to the own role
--@ verdict: admit
RESET ROLE;

--@ case: another session user
--@ verdict: refuse session-escape
SET SESSION AUTHORIZATION postgres;

--@ case: row security off
--@ verdict: refuse session-escape
SET row_security = off;

--@ case: triggers off
--@ verdict: refuse session-escape
SET session_replication_role = 'replica';

--@ case: a setting that nobody knows
--@ verdict: refuse session-escape
SET dynamic_library_path = '/tmp';

--@ case: settings of a role
--@ verdict: refuse session-escape
ALTER ROLE app SET search_path = archive;

--@ case: settings of a database
--@ verdict: refuse session-escape
ALTER DATABASE shop SET row_security = off;

--@ case: settings of the server
--@ verdict: refuse session-escape
ALTER SYSTEM SET log_statement = 'none';

--@ case: membership of a role
--@ verdict: refuse session-escape
GRANT app_admin TO app;

--@ case: NULL compares equal by rewriting
--@ verdict: refuse session-escape
SET transform_null_equals = on;

--@ case: DISCARD ALL
--@ verdict: admit
DISCARD ALL;

--@ case: a setting hidden behind an honest statement
--@ verdict: refuse session-escape
--@ string
SELECT 1; SET standard_conforming_strings = off;

--@ case: a string of harmless settings, as drivers send
--@ verdict: admit
--@ string
SET client_min_messages TO warning; SET TimeZone = 'UTC'; SET extra_float_digits = 3;
