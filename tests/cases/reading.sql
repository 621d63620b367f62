-- Where a parser and PostgreSQL may read two things: a table must never be hidden between them.

--@ case: END as a column label, and a statement behind it
--@ verdict: refuse not-understood
--@ string
SELECT 1 END; DELETE FROM org_notes

--@ case: END as a column label in front of FROM
--@ verdict: refuse not-understood
SELECT label, id END FROM org_tags;

--@ case: END as a label with AS
--@ verdict: admit
SELECT 1 AS "end";

--@ case: END after CASE
--@ verdict: admit
SELECT CASE WHEN label = 'sale' THEN 1 ELSE 0 END FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: END as COMMIT
--@ verdict: admit
END;

--@ case: END as a label of RETURNING
--@ verdict: refuse not-understood
--@ string
UPDATE countries SET name = name RETURNING code END; DROP TABLE org_notes

--@ case: OR as a label hides FROM
--@ verdict: refuse not-understood
SELECT label OR FROM org_tags;

--@ case: AND as a label hides FROM
--@ verdict: refuse not-understood
SELECT label AND FROM org_tags;

--@ case: COLLATE as a label hides FROM
--@ verdict: refuse not-understood
SELECT label COLLATE FROM org_tags;

--@ case: LIKE as a label hides FROM
--@ verdict: refuse not-understood
SELECT label LIKE FROM org_tags;

--@ case: ILIKE as a label hides FROM
--@ verdict: refuse not-understood
SELECT label ILIKE FROM org_tags;

--@ case: REGEXP as a label hides FROM
--@ verdict: refuse not-understood
SELECT label REGEXP FROM org_tags;

--@ case: RLIKE as a label hides FROM in a subquery
--@ verdict: refuse not-understood
SELECT c.name FROM countries c WHERE EXISTS (SELECT t.label RLIKE FROM org_tags t);

--@ case: XOR as a label hides FROM in an arm
--@ verdict: refuse not-understood
SELECT code FROM plans UNION ALL SELECT label XOR FROM org_tags;

--@ case: interval as a column hides FROM
--@ verdict: refuse not-understood
--@ note: in PostgreSQL a column called interval, which org_tags does not have
SELECT interval FROM org_tags;

--@ case: interval as a quoted column
--@ verdict: admit
SELECT p."interval" FROM plans p;

--@ case: a label that is a keyword, behind AS
--@ verdict: admit
SELECT label AS "or", id AS value FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the honest AND and OR
--@ verdict: admit
SELECT label = 'sale' OR label = 'new' AS found FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: ONLY, loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM ONLY org_tags;

--@ case: ONLY, bound
--@ verdict: admit
SELECT label FROM ONLY org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: ONLY with parentheses
--@ verdict: refuse not-understood
SELECT label FROM ONLY (org_tags);

--@ case: ONLY of a DELETE
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM ONLY org_notes;

--@ case: ONLY in a join
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT c.code FROM countries c JOIN ONLY org_tags t ON true;

--@ case: a star behind the table
--@ verdict: refuse not-understood
SELECT label FROM org_tags * WHERE deleted_at IS NULL;

--@ case: data behind COPY that are a statement
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
COPY orgunits FROM STDIN; SELECT label FROM org_tags

--@ case: COPY as the second statement
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
SELECT 1; COPY orgunits FROM STDIN; DELETE FROM org_notes

--@ case: SELECT INTO
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label INTO TEMP kept FROM org_tags;

--@ case: a Unicode identifier
--@ verdict: refuse not-understood
SELECT label FROM U&"org\005Ftags";

--@ case: a Unicode identifier with another escape
--@ verdict: refuse not-understood
SELECT label FROM U&"org!005Ftags" UESCAPE '!';

--@ case: a Unicode identifier beside a minus sign
--@ verdict: refuse not-understood
SELECT u&"label" FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a comment between the name and the predicate
--@ verdict: admit
SELECT label FROM org_tags /* all of them? */ WHERE /* no */ organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL -- only ours
;

--@ case: the predicate in a comment
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags /* WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL */;

--@ case: the predicate in a comment to the end of the line
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags -- WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL
;

--@ case: comments nest
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags /* /* */ WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL */;

--@ case: comments nest, an arm behind them
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL /* /* */ */ UNION ALL SELECT label FROM org_tags;

--@ case: a comment opened inside a string
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> '/*' OR label = '*/' OR true;

--@ case: a comment without spaces around it
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label/**/FROM/**/org_tags;

--@ case: a quote ended by a backslash that does not escape
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> '\' OR true --'
;

--@ case: a quote in an escape string
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> E'\' OR true --'
;

--@ case: a backslash in an escape string
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> E'\\' OR true --'
;

--@ case: two quotes
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> 'it''s OR true';

--@ case: dollar quotes around a quote
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> $$'$$ OR true --'
;

--@ case: dollar quotes with a tag inside another
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> $a$ $b$ OR true $b$ $a$;

--@ case: dollar quotes that end early
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND label <> $a$ x $a$ OR true OR label = $a$ $a$;

--@ case: a literal continued on the next line
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-'
'8111-111111111111' AND deleted_at IS NULL;

--@ case: a bit string
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND B'1' = B'0' OR true;

--@ case: no spaces around quoted names
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT"label"FROM"org_tags";

--@ case: spaces around the dot
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT label FROM public . org_tags;

--@ case: tabs and line breaks
--@ verdict: admit
SELECT	label
FROM	org_tags
WHERE	organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a no-break space is part of a word
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT label FROM org_tags WHERE deleted_at IS NULL;

--@ case: an operator that is no equality
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL unless somebody has made such an operator
SELECT label FROM org_tags WHERE organization_id == '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a minus sign behind an operator
--@ verdict: refuse not-understood
--@ note: PostgreSQL reads one operator of three characters
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND stock <>-1 IS NOT NULL;

--@ case: a regular expression binds tighter than equality
--@ verdict: refuse unbound-tenant
--@ note: an error in PostgreSQL, which compares a uuid with a boolean
SELECT label FROM org_tags WHERE organization_id = label ~ 'x' AND deleted_at IS NULL;

--@ case: a number with letters behind it
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT 123abc FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a parameter with letters behind it
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT $1FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a parameter by its name
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT label FROM org_tags WHERE organization_id = :tenant AND deleted_at IS NULL;

--@ case: a question mark as a parameter
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT label FROM org_tags WHERE organization_id = ? AND deleted_at IS NULL;

--@ case: OUTPUT as an alias hides USING
--@ verdict: refuse not-understood
DELETE FROM orgunits OUTPUT USING org_notes;

--@ case: an UPDATE of a table called replace
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL: there is no such table
UPDATE REPLACE org_tags SET label = 'x';

--@ case: a reserved word as a table
--@ verdict: refuse not-understood
--@ note: a function without parentheses to PostgreSQL
SELECT * FROM current_user t WHERE deleted_at IS NULL;

--@ case: a reserved word as a schema-qualified collation
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY label COLLATE pg_catalog."default";

--@ case: an empty select list
--@ verdict: refuse unbound-tenant
SELECT FROM org_tags WHERE deleted_at IS NULL;

--@ case: a string that is no statement
--@ verdict: refuse guarded-ddl, opaque-sql
--@ note: an error in PostgreSQL; a kind of statement that the guard does not know
SELEC label FROM org_tags;

--@ case: half a statement
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND;

--@ case: an unfinished string
--@ verdict: refuse not-understood
--@ note: an error in PostgreSQL
SELECT 'org_tags

--@ case: a guarded name as an alias behind AS
--@ verdict: admit
SELECT "org_tags"."code" FROM "plans" AS "org_tags" WHERE "org_tags"."id" = 1;

--@ case: a guarded name as a bare label behind a name
--@ verdict: admit
SELECT name org_products FROM countries;

--@ case: a guarded name in a cast
--@ verdict: admit
SELECT 'org_tags'::regclass::text;

--@ case: a window named like a guarded table
--@ verdict: admit
SELECT code, rank() OVER org_tags FROM plans WINDOW org_tags AS (ORDER BY price);

--@ case: FOR UPDATE OF an alias
--@ verdict: admit
SELECT t.label FROM org_tags AS t WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL FOR UPDATE OF t;

--@ case: FOR UPDATE OF the table
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL FOR UPDATE OF org_tags;

--@ case: FETCH FIRST
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY id FETCH FIRST 1 ROW ONLY;

--@ case: EXTRACT and SUBSTRING with FROM inside
--@ verdict: admit
SELECT extract(year FROM created_at), substring(label FROM 1 FOR 2), trim(BOTH ' ' FROM label), position('a' IN label) FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a subquery where EXTRACT has its FROM
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT extract(day FROM (SELECT max(number) * interval '1 day' FROM org_orders));

--@ case: AT TIME ZONE
--@ verdict: admit
SELECT created_at AT TIME ZONE 'UTC' FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a field of a row
--@ verdict: refuse unbound-tenant, visible-deleted
--@ note: equal to RLS
SELECT (t).label FROM org_tags t WHERE (t).organization_id = '11111111-1111-4111-8111-111111111111' AND (t).deleted_at IS NULL;

--@ case: a subscript of a bound array
--@ verdict: admit
SELECT (ARRAY[label, 'x'])[1] FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: fields and elements of values
--@ verdict: admit
SELECT (p).name, (ARRAY[p.name, p.sku])[1:2], (ROW(p.name, 1)).f1 FROM org_products p WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;

--@ case: a field of a row binds nothing without a catalogue, where a column may have that name
--@ verdict: refuse unbound-tenant
SELECT (p).name FROM org_products p WHERE (p).organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL;
