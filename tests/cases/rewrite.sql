-- What is sent in rewrite mode ({A} is the tenant's constant with its type).

--@ case: where there is no WHERE
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT name FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL ORDER BY name LIMIT 2
SELECT name FROM org_products ORDER BY name LIMIT 2;

--@ case: an OR is put in brackets
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT p.name FROM org_products p WHERE (p.price > 5 OR p.stock = 0) AND p.organization_id = {A} AND p.deleted_at IS NULL
SELECT p.name FROM org_products p WHERE p.price > 5 OR p.stock = 0;

--@ case: only what is missing
--@ verdict: refuse visible-deleted
--@ rewrite: SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND org_products.deleted_at IS NULL
SELECT name FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: comments and hints stay
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: /*+ SeqScan(p) */ SELECT p.name /* the name */ FROM org_products AS p WHERE p.stock > 0 AND p.organization_id = {A} AND p.deleted_at IS NULL /* in stock */ ORDER BY 1
/*+ SeqScan(p) */ SELECT p.name /* the name */ FROM org_products AS p WHERE p.stock > 0 /* in stock */ ORDER BY 1;

--@ case: the nullable side in its ON
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = {A} AND i.deleted_at IS NULL WHERE o.organization_id = {A} AND o.deleted_at IS NULL
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id;

--@ case: a chain of outer joins
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT c.name, o.number, i.remark FROM org_customers c LEFT JOIN org_orders o ON (o.customer_id = c.id OR o.customer_id IS NULL) AND o.organization_id = {A} AND o.deleted_at IS NULL LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = {A} AND i.deleted_at IS NULL WHERE c.organization_id = {A} AND c.deleted_at IS NULL
SELECT c.name, o.number, i.remark FROM org_customers c LEFT JOIN org_orders o ON o.customer_id = c.id OR o.customer_id IS NULL LEFT JOIN org_order_items i ON i.order_id = o.id;

--@ case: RIGHT JOIN turns the sides
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT o.number, i.remark FROM org_orders o RIGHT JOIN org_order_items i ON i.order_id = o.id AND o.organization_id = {A} AND o.deleted_at IS NULL WHERE i.organization_id = {A} AND i.deleted_at IS NULL
SELECT o.number, i.remark FROM org_orders o RIGHT JOIN org_order_items i ON i.order_id = o.id;

--@ case: an inner join within the nullable side
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT c.name, i.remark FROM org_customers c LEFT JOIN (org_orders o JOIN org_order_items i ON i.order_id = o.id) ON o.customer_id = c.id AND o.organization_id = {A} AND o.deleted_at IS NULL AND i.organization_id = {A} AND i.deleted_at IS NULL WHERE c.organization_id = {A} AND c.deleted_at IS NULL
SELECT c.name, i.remark FROM org_customers c LEFT JOIN (org_orders o JOIN org_order_items i ON i.order_id = o.id) ON o.customer_id = c.id;

--@ case: FULL JOIN takes derived tables
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT o.number, i.remark FROM (SELECT * FROM org_orders WHERE org_orders.organization_id = {A} AND org_orders.deleted_at IS NULL) o FULL JOIN (SELECT * FROM org_order_items WHERE org_order_items.organization_id = {A} AND org_order_items.deleted_at IS NULL) AS i ON i.order_id = o.id
SELECT o.number, i.remark FROM org_orders o FULL JOIN org_order_items AS i ON i.order_id = o.id;

--@ case: USING on the nullable side
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT id, org_products.name, org_notes.body FROM org_products LEFT JOIN (SELECT * FROM org_notes WHERE org_notes.organization_id = {A} AND org_notes.deleted_at IS NULL) AS org_notes USING (id) WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL
SELECT id, org_products.name, org_notes.body FROM org_products LEFT JOIN org_notes USING (id);

--@ case: GROUP BY a primary key
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT p.id, p.name, count(i.id) FROM org_products p LEFT JOIN org_order_items i ON i.product_id = p.id AND i.organization_id = {A} AND i.deleted_at IS NULL WHERE p.organization_id = {A} AND p.deleted_at IS NULL GROUP BY p.id HAVING count(*) > 0 ORDER BY 1
SELECT p.id, p.name, count(i.id) FROM org_products p LEFT JOIN org_order_items i ON i.product_id = p.id GROUP BY p.id HAVING count(*) > 0 ORDER BY 1;

--@ case: FOR UPDATE OF
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT p.name FROM org_products p WHERE p.organization_id = {A} AND p.deleted_at IS NULL FOR UPDATE OF p SKIP LOCKED
SELECT p.name FROM org_products p FOR UPDATE OF p SKIP LOCKED;

--@ case: whole rows
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT p, to_jsonb(p) FROM org_products p WHERE p.organization_id = {A} AND p.deleted_at IS NULL
SELECT p, to_jsonb(p) FROM org_products p;

--@ case: every level of a statement
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: WITH o AS (SELECT * FROM org_orders WHERE org_orders.organization_id = {A} AND org_orders.deleted_at IS NULL) SELECT o.number, (SELECT count(*) FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = {A} AND i.deleted_at IS NULL) FROM o WHERE EXISTS (SELECT 1 FROM org_customers c WHERE c.id = o.customer_id AND c.organization_id = {A} AND c.deleted_at IS NULL) UNION ALL SELECT 0, count(*) FROM (SELECT * FROM org_notes WHERE org_notes.organization_id = {A} AND org_notes.deleted_at IS NULL LIMIT 2) n
WITH o AS (SELECT * FROM org_orders) SELECT o.number, (SELECT count(*) FROM org_order_items i WHERE i.order_id = o.id) FROM o WHERE EXISTS (SELECT 1 FROM org_customers c WHERE c.id = o.customer_id) UNION ALL SELECT 0, count(*) FROM (SELECT * FROM org_notes LIMIT 2) n;

--@ case: TABLE
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT * FROM org_tags WHERE org_tags.organization_id = {A} AND org_tags.deleted_at IS NULL UNION SELECT * FROM org_tags WHERE org_tags.organization_id = {A} AND org_tags.deleted_at IS NULL ORDER BY 1
TABLE org_tags UNION TABLE org_tags ORDER BY 1;

--@ case: a recursive query
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: WITH RECURSIVE t AS (SELECT id, parent_id, name FROM org_customers WHERE parent_id IS NULL AND org_customers.organization_id = {A} AND org_customers.deleted_at IS NULL UNION ALL SELECT c.id, c.parent_id, c.name FROM org_customers c JOIN t ON c.parent_id = t.id WHERE c.organization_id = {A} AND c.deleted_at IS NULL) SELECT name FROM t
WITH RECURSIVE t AS (SELECT id, parent_id, name FROM org_customers WHERE parent_id IS NULL UNION ALL SELECT c.id, c.parent_id, c.name FROM org_customers c JOIN t ON c.parent_id = t.id) SELECT name FROM t;

--@ case: column aliases hide the names
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT a FROM (SELECT * FROM org_tags WHERE org_tags.organization_id = {A} AND org_tags.deleted_at IS NULL) AS t(a, b, c)
SELECT a FROM org_tags AS t(a, b, c);

--@ case: a sample
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: SELECT name FROM ONLY org_products AS p TABLESAMPLE BERNOULLI (100) REPEATABLE (1) WHERE p.organization_id = {A} AND p.deleted_at IS NULL
SELECT name FROM ONLY org_products AS p TABLESAMPLE BERNOULLI (100) REPEATABLE (1);

--@ case: UPDATE by its key
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: UPDATE org_products SET stock = stock + 1 WHERE id = 'a1000000-0000-4000-8000-000000000001' AND org_products.organization_id = {A} AND org_products.deleted_at IS NULL RETURNING name, stock
UPDATE org_products SET stock = stock + 1 WHERE id = 'a1000000-0000-4000-8000-000000000001' RETURNING name, stock;

--@ case: UPDATE FROM
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: UPDATE org_order_items i SET remark = 'of ' || o.status FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id AND c.organization_id = {A} AND c.deleted_at IS NULL WHERE o.id = i.order_id AND i.organization_id = {A} AND i.deleted_at IS NULL AND o.organization_id = {A} AND o.deleted_at IS NULL
UPDATE org_order_items i SET remark = 'of ' || o.status FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id WHERE o.id = i.order_id;

--@ case: DELETE USING
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: DELETE FROM org_order_items AS i USING org_orders o WHERE (o.id = i.order_id OR false) AND i.organization_id = {A} AND i.deleted_at IS NULL AND o.organization_id = {A} AND o.deleted_at IS NULL RETURNING i.remark
DELETE FROM org_order_items AS i USING org_orders o WHERE o.id = i.order_id OR false RETURNING i.remark;

--@ case: INSERT gains the tenant in every row
--@ verdict: refuse foreign-insert
--@ rewrite: INSERT INTO org_tags (id, label, organization_id) VALUES ('a6000000-0000-4000-8000-000000000011', 'x', {A}), ('a6000000-0000-4000-8000-000000000012', 'y', {A}) RETURNING *
INSERT INTO org_tags (id, label) VALUES ('a6000000-0000-4000-8000-000000000011', 'x'), ('a6000000-0000-4000-8000-000000000012', 'y') RETURNING *;

--@ case: DEFAULT in the tenant's place
--@ verdict: refuse foreign-insert
--@ rewrite: INSERT INTO org_tags (id, organization_id, label, deleted_at) VALUES ('a6000000-0000-4000-8000-000000000011', {A}, 'x', default)
INSERT INTO org_tags (id, organization_id, label, deleted_at) VALUES ('a6000000-0000-4000-8000-000000000011', default, 'x', default);

--@ case: INSERT of a query
--@ verdict: refuse foreign-insert, unbound-tenant, visible-deleted
--@ rewrite: INSERT INTO org_tags (id, label, organization_id) SELECT p.id, p.name, {A} FROM org_products p WHERE p.stock > 1 AND p.organization_id = {A} AND p.deleted_at IS NULL ORDER BY 2 RETURNING label
INSERT INTO org_tags (id, label) SELECT p.id, p.name FROM org_products p WHERE p.stock > 1 ORDER BY 2 RETURNING label;

--@ case: INSERT of a set operation
--@ verdict: refuse foreign-insert, unbound-tenant, visible-deleted
--@ rewrite: INSERT INTO org_tags (id, label, organization_id) (SELECT p.id, p.name, {A} FROM org_products p WHERE p.organization_id = {A} AND p.deleted_at IS NULL) UNION VALUES ('a6000000-0000-4000-8000-000000000011'::uuid, 'x', {A})
INSERT INTO org_tags (id, label) (SELECT p.id, p.name FROM org_products p) UNION VALUES ('a6000000-0000-4000-8000-000000000011'::uuid, 'x');

--@ case: another tenant's value is not overwritten
--@ verdict: refuse foreign-insert
--@ rewrite: refuse
INSERT INTO org_tags (id, organization_id, label) VALUES ('a6000000-0000-4000-8000-000000000011', '22222222-2222-4222-8222-222222222222', 'x');

--@ case: a cursor
--@ verdict: refuse unbound-tenant, visible-deleted
--@ string
--@ rewrite: DECLARE c CURSOR FOR SELECT name FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL ORDER BY name; FETCH 2 FROM c; CLOSE c
DECLARE c CURSOR FOR SELECT name FROM org_products ORDER BY name; FETCH 2 FROM c; CLOSE c;

--@ case: EXPLAIN without estimates
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: EXPLAIN (COSTS OFF) SELECT name FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL
EXPLAIN (COSTS OFF) SELECT name FROM org_products;

--@ case: COPY of a query
--@ verdict: refuse unbound-tenant, visible-deleted
--@ rewrite: COPY (SELECT name FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL) TO STDOUT
COPY (SELECT name FROM org_products) TO STDOUT;

--@ case: COPY of a table's columns
--@ verdict: refuse guarded-copy
--@ rewrite: COPY (SELECT id, label FROM org_tags WHERE org_tags.organization_id = {A} AND org_tags.deleted_at IS NULL) TO STDOUT WITH (FORMAT csv)
COPY org_tags (id, label) TO STDOUT WITH (FORMAT csv);

--@ case: COPY into a table
--@ verdict: refuse guarded-copy
--@ rewrite: refuse
COPY org_tags (id, label) FROM STDIN;

--@ case: one condition too few with the other in WHERE of an outer join
--@ verdict: refuse unbound-tenant
--@ rewrite: SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = {A} AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL
SELECT o.number, i.remark FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: an upsert with the tenant in its conflict target
--@ verdict: refuse foreign-insert, unguarded-conflict
--@ rewrite: INSERT INTO org_tags (id, label, organization_id) VALUES ('a6000000-0000-4000-8000-000000000011', 'sale', {A}) ON CONFLICT (organization_id, label) DO UPDATE SET label = 'sold' WHERE (org_tags.deleted_at IS NULL OR pg_catalog.current_setting('orgguard.hidden_row') IS NULL) RETURNING label
INSERT INTO org_tags (id, label) VALUES ('a6000000-0000-4000-8000-000000000011', 'sale') ON CONFLICT (organization_id, label) DO UPDATE SET label = 'sold' RETURNING label;

--@ case: the same on a row that is deleted fails
--@ verdict: refuse foreign-insert, unguarded-conflict
INSERT INTO org_tags (id, label) VALUES ('a6000000-0000-4000-8000-000000000011', 'gone old') ON CONFLICT (organization_id, label) DO UPDATE SET label = 'sold' RETURNING label;

--@ case: an upsert by the primary key
--@ verdict: refuse foreign-insert, unguarded-conflict
--@ rewrite: INSERT INTO org_tags AS t (id, label, organization_id) VALUES ('a6000000-0000-4000-8000-000000000001', 'sold', {A}) ON CONFLICT (id) DO UPDATE SET label = excluded.label WHERE t.label <> 'kept' AND (t.organization_id = {A} AND t.deleted_at IS NULL OR pg_catalog.current_setting('orgguard.hidden_row') IS NULL) RETURNING label
INSERT INTO org_tags AS t (id, label) VALUES ('a6000000-0000-4000-8000-000000000001', 'sold') ON CONFLICT (id) DO UPDATE SET label = excluded.label WHERE t.label <> 'kept' RETURNING label;

--@ case: the same on another tenant's row fails
--@ verdict: refuse foreign-insert, unguarded-conflict
INSERT INTO org_tags (id, label) VALUES ('b6000000-0000-4000-8000-000000000001', 'sold') ON CONFLICT ON CONSTRAINT org_tags_pkey DO UPDATE SET label = excluded.label;

--@ case: an own WHERE of the upsert comes first
--@ verdict: refuse foreign-insert, unguarded-conflict
INSERT INTO org_tags AS t (id, label) VALUES ('b6000000-0000-4000-8000-000000000001', 'sold') ON CONFLICT (id) DO UPDATE SET label = excluded.label WHERE t.label = 'no such';

--@ case: MERGE binds its target in ON, its source in a derived table, and its new rows
--@ verdict: refuse foreign-insert, unbound-tenant, visible-deleted
--@ rewrite: MERGE INTO org_tags t USING (SELECT * FROM org_products WHERE org_products.organization_id = {A} AND org_products.deleted_at IS NULL) p ON (t.label = p.sku OR t.id = p.id) AND t.organization_id = {A} AND t.deleted_at IS NULL WHEN MATCHED AND CASE WHEN p.stock > 1 THEN true ELSE false END THEN UPDATE SET label = p.name WHEN NOT MATCHED THEN INSERT (id, label, organization_id) VALUES (p.id, p.sku, {A})
MERGE INTO org_tags t USING org_products p ON t.label = p.sku OR t.id = p.id WHEN MATCHED AND CASE WHEN p.stock > 1 THEN true ELSE false END THEN UPDATE SET label = p.name WHEN NOT MATCHED THEN INSERT (id, label) VALUES (p.id, p.sku);

--@ case: PREPARE gains a parameter and EXECUTE a value
--@ string
--@ verdict: refuse unbound-tenant, visible-deleted
PREPARE r AS SELECT name FROM org_products ORDER BY name; EXECUTE r;

--@ case: INSERT of everything that a function gives
--@ verdict: refuse foreign-insert, unguarded-conflict
--@ rewrite: INSERT INTO org_tags (id, label, organization_id) SELECT *, {A} FROM unnest('{a6000000-0000-4000-8000-000000000041,a6000000-0000-4000-8000-000000000042}'::uuid[], '{one,two}'::text[]) ON CONFLICT (id) DO UPDATE SET label = excluded.label WHERE (org_tags.organization_id = {A} AND org_tags.deleted_at IS NULL OR pg_catalog.current_setting('orgguard.hidden_row') IS NULL) RETURNING label
INSERT INTO org_tags (id, label) SELECT * FROM unnest('{a6000000-0000-4000-8000-000000000041,a6000000-0000-4000-8000-000000000042}'::uuid[], '{one,two}'::text[]) ON CONFLICT (id) DO UPDATE SET label = excluded.label RETURNING label;

--@ case: a tenant behind two stars has no position
--@ verdict: refuse foreign-insert
--@ rewrite: refuse
INSERT INTO org_tags (id, label) SELECT a.*, b.* FROM (SELECT 'a6000000-0000-4000-8000-000000000041'::uuid) a, (SELECT 'x') b;
