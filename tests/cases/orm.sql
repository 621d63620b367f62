-- Shapes of Django, SQLAlchemy, Prisma, TypeORM, Sequelize, Rails, Knex and diesel.

--@ case: Django, a filter with the uuid undashed
--@ verdict: admit
SELECT "org_tags"."id", "org_tags"."label" FROM "org_tags" WHERE ("org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = '11111111111141118111111111111111'::uuid) ORDER BY "org_tags"."label" ASC LIMIT 21;

--@ case: Django, the other tenant undashed
--@ verdict: refuse foreign-tenant
SELECT "org_tags"."id", "org_tags"."label" FROM "org_tags" WHERE ("org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = '22222222222242228222222222222222'::uuid) LIMIT 21;

--@ case: Django, exists()
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
SELECT 1 AS "a" FROM "org_tags" WHERE ("org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = $1::uuid) LIMIT 1;

--@ case: Django, save() by the key
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE "org_tags" SET "organization_id" = '11111111111141118111111111111111'::uuid, "label" = 'x' WHERE "org_tags"."id" = 'b6000000-0000-4000-8000-000000000001'::uuid;

--@ case: Django, update() of a queryset
--@ verdict: admit
UPDATE "org_tags" SET "label" = 'x' WHERE ("org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = '11111111111141118111111111111111'::uuid AND "org_tags"."id" IN ('a6000000-0000-4000-8000-000000000001'::uuid));

--@ case: Django, delete() by the key
--@ verdict: refuse unbound-tenant, visible-deleted
DELETE FROM "org_tags" WHERE "org_tags"."id" IN ('b6000000-0000-4000-8000-000000000002'::uuid);

--@ case: Django, a filter across a foreign key
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT "org_orders"."id" FROM "org_orders" INNER JOIN "org_customers" ON ("org_orders"."customer_id" = "org_customers"."id") WHERE ("org_orders"."deleted_at" IS NULL AND "org_orders"."organization_id" = '11111111-1111-4111-8111-111111111111'::uuid AND "org_customers"."name" = 'B bob');

--@ case: Django, annotate(Count)
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT "org_orders"."id", COUNT("org_order_items"."id") AS "n" FROM "org_orders" LEFT OUTER JOIN "org_order_items" ON ("org_orders"."id" = "org_order_items"."order_id") WHERE ("org_orders"."deleted_at" IS NULL AND "org_orders"."organization_id" = '11111111-1111-4111-8111-111111111111'::uuid) GROUP BY "org_orders"."id";

--@ case: Django, select_for_update
--@ verdict: admit
SELECT "org_tags"."id" FROM "org_tags" WHERE ("org_tags"."organization_id" = '11111111-1111-4111-8111-111111111111'::uuid AND "org_tags"."deleted_at" IS NULL) ORDER BY 1 ASC FOR UPDATE OF "org_tags";

--@ case: SQLAlchemy, casts of parameters
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 10 -> admit | 22222222-2222-4222-8222-222222222222, 10 -> refuse foreign-tenant
SELECT org_tags.id, org_tags.label FROM org_tags WHERE org_tags.organization_id = $1::UUID AND org_tags.deleted_at IS NULL ORDER BY org_tags.id LIMIT $2::INTEGER;

--@ case: SQLAlchemy, IN with an expanding parameter
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT org_tags.id FROM org_tags WHERE org_tags.organization_id IN ($1::UUID) AND org_tags.deleted_at IS NULL;

--@ case: SQLAlchemy, anonymous aliases
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
SELECT anon_1.number, org_order_items_1.remark FROM (SELECT org_orders.id AS id, org_orders.organization_id AS organization_id, org_orders.number AS number FROM org_orders WHERE org_orders.organization_id = $1::UUID AND org_orders.deleted_at IS NULL LIMIT 10) AS anon_1 LEFT OUTER JOIN org_order_items AS org_order_items_1 ON org_order_items_1.order_id = anon_1.id AND org_order_items_1.organization_id = anon_1.organization_id AND org_order_items_1.deleted_at IS NULL;

--@ case: SQLAlchemy, joinedload by the key
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT org_orders.id, org_order_items_1.remark FROM org_orders LEFT OUTER JOIN org_order_items AS org_order_items_1 ON org_orders.id = org_order_items_1.order_id WHERE org_orders.organization_id = $1::UUID AND org_orders.deleted_at IS NULL;

--@ case: SQLAlchemy, flush by the key
--@ verdict: refuse unbound-tenant, visible-deleted
UPDATE org_tags SET label = $1::VARCHAR WHERE org_tags.id = $2::UUID;

--@ case: SQLAlchemy, a composite key that has the tenant
--@ verdict: admit
--@ bind: x, 11111111-1111-4111-8111-111111111111, theme -> admit | x, 22222222-2222-4222-8222-222222222222, theme -> refuse foreign-tenant
UPDATE org_settings SET value = $1::VARCHAR WHERE org_settings.organization_id = $2::UUID AND org_settings.key = $3::VARCHAR;

--@ case: SQLAlchemy, insert many from parameters
--@ verdict: admit
--@ bind: cccccccc-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, x, cccccccc-0000-4000-8000-000000000002, 11111111-1111-4111-8111-111111111111, y -> admit | cccccccc-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, x, cccccccc-0000-4000-8000-000000000002, 22222222-2222-4222-8222-222222222222, y -> refuse foreign-insert
INSERT INTO org_tags (id, organization_id, label) VALUES ($1::UUID, $2::UUID, $3::VARCHAR), ($4::UUID, $5::UUID, $6::VARCHAR) RETURNING org_tags.id;

--@ case: SQLAlchemy, insert many with its sort counter
--@ verdict: admit
INSERT INTO org_tags (id, organization_id, label) SELECT p0::UUID, p1::UUID, p2::VARCHAR FROM (VALUES ($1::UUID, $2::UUID, $3::VARCHAR, 0)) AS imp_sen(p0, p1, p2, sen_counter) ORDER BY sen_counter RETURNING org_tags.id;

--@ case: Prisma, findMany
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 0 -> admit | 22222222-2222-4222-8222-222222222222, 0 -> refuse foreign-tenant
SELECT "public"."org_tags"."id", "public"."org_tags"."label" FROM "public"."org_tags" WHERE ("public"."org_tags"."organization_id" = $1::uuid AND "public"."org_tags"."deleted_at" IS NULL) ORDER BY "public"."org_tags"."id" ASC OFFSET $2;

--@ case: Prisma, the filter was undefined
--@ verdict: refuse unbound-tenant
SELECT "public"."org_tags"."id", "public"."org_tags"."label" FROM "public"."org_tags" WHERE ("public"."org_tags"."deleted_at" IS NULL AND 1=1) OFFSET $1;

--@ case: Prisma, findUnique in a batch
--@ verdict: admit
--@ bind: a6000000-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, a6000000-0000-4000-8000-000000000002, 11111111-1111-4111-8111-111111111111 -> admit | a6000000-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, b6000000-0000-4000-8000-000000000002, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
SELECT "public"."org_tags"."id" FROM "public"."org_tags" WHERE ((("public"."org_tags"."id" = $1 AND "public"."org_tags"."organization_id" = $2) OR ("public"."org_tags"."id" = $3 AND "public"."org_tags"."organization_id" = $4)) AND "public"."org_tags"."deleted_at" IS NULL AND 1=1);

--@ case: Prisma, an aggregate
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 0 -> admit
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."org_tags"."id" FROM "public"."org_tags" WHERE ("public"."org_tags"."organization_id" = $1 AND "public"."org_tags"."deleted_at" IS NULL) OFFSET $2) AS "sub";

--@ case: Prisma, the relation loaded by its keys
--@ verdict: refuse unbound-tenant
SELECT "public"."org_order_items"."id", "public"."org_order_items"."order_id" FROM "public"."org_order_items" WHERE ("public"."org_order_items"."deleted_at" IS NULL AND "public"."org_order_items"."order_id" IN ($1, $2)) OFFSET $3;

--@ case: Prisma, a cursor
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT "public"."org_tags"."id" FROM "public"."org_tags" WHERE ("public"."org_tags"."id" >= (SELECT "public"."org_tags"."id" FROM "public"."org_tags" WHERE "public"."org_tags"."id" = $1) AND "public"."org_tags"."organization_id" = $2 AND "public"."org_tags"."deleted_at" IS NULL) ORDER BY "public"."org_tags"."id" ASC LIMIT $3;

--@ case: Prisma, updateMany
--@ verdict: admit
--@ bind: x, 11111111-1111-4111-8111-111111111111, a6000000-0000-4000-8000-000000000001 -> admit
UPDATE "public"."org_tags" SET "label" = $1 WHERE ("public"."org_tags"."organization_id" = $2 AND "public"."org_tags"."id" = $3 AND "public"."org_tags"."deleted_at" IS NULL AND 1=1);

--@ case: Prisma, upsert by the key
--@ verdict: refuse unguarded-conflict
INSERT INTO "public"."org_tags" ("id", "organization_id", "label") VALUES ($1, $2, $3) ON CONFLICT ("id") DO UPDATE SET "label" = $4 WHERE ("public"."org_tags"."id" = $5 AND 1=1) RETURNING "public"."org_tags"."id";

--@ case: TypeORM, an array of conditions
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, sale, 11111111-1111-4111-8111-111111111111, new -> admit | 11111111-1111-4111-8111-111111111111, sale, 22222222-2222-4222-8222-222222222222, B secret -> refuse foreign-tenant
SELECT "t"."id" AS "t_id", "t"."label" AS "t_label" FROM "org_tags" "t" WHERE ( ((("t"."organization_id" = $1) AND ("t"."label" = $2)) OR (("t"."organization_id" = $3) AND ("t"."label" = $4))) ) AND ( "t"."deleted_at" IS NULL );

--@ case: TypeORM, an array of conditions, one without the tenant
--@ verdict: refuse unbound-tenant
SELECT "t"."id" AS "t_id", "t"."label" AS "t_label" FROM "org_tags" "t" WHERE ( ((("t"."organization_id" = $1) AND ("t"."label" = $2)) OR (("t"."label" = $3))) ) AND ( "t"."deleted_at" IS NULL );

--@ case: TypeORM, a page over a join
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit
SELECT DISTINCT "distinctAlias"."o_id" AS "ids_o_id", "distinctAlias"."o_number" FROM (SELECT "o"."id" AS "o_id", "o"."number" AS "o_number", "i"."id" AS "i_id" FROM "org_orders" "o" LEFT JOIN "org_order_items" "i" ON "i"."order_id"="o"."id" AND ("i"."organization_id" = $1 AND "i"."deleted_at" IS NULL) WHERE "o"."organization_id" = $2 AND "o"."deleted_at" IS NULL) "distinctAlias" ORDER BY "distinctAlias"."o_number" ASC, "o_id" ASC LIMIT 2;

--@ case: TypeORM, a relation with soft delete but no tenant
--@ verdict: refuse unbound-tenant
SELECT "o"."id" AS "o_id", "i"."remark" AS "i_remark" FROM "org_orders" "o" LEFT JOIN "org_order_items" "i" ON "i"."order_id"="o"."id" AND ("i"."deleted_at" IS NULL) WHERE "o"."organization_id" = $1 AND "o"."deleted_at" IS NULL;

--@ case: TypeORM, softDelete
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, a6000000-0000-4000-8000-000000000001 -> admit
UPDATE "org_tags" SET "deleted_at" = CURRENT_DATE, "updated_at" = CURRENT_DATE WHERE ("organization_id" = $1 AND "id" = $2 AND "deleted_at" IS NULL);

--@ case: TypeORM, restore
--@ verdict: refuse visible-deleted
UPDATE "org_tags" SET "deleted_at" = NULL WHERE ("organization_id" = $1 AND "id" = $2);

--@ case: Sequelize, paranoid
--@ verdict: admit
SELECT "id", "label" FROM "org_tags" AS "Tag" WHERE ("Tag"."deleted_at" IS NULL AND "Tag"."organization_id" = '11111111-1111-4111-8111-111111111111') ORDER BY "Tag"."id" ASC LIMIT 10;

--@ case: Sequelize, paranoid until a moment
--@ verdict: refuse visible-deleted
SELECT "id", "label" FROM "org_tags" AS "Tag" WHERE (("Tag"."deleted_at" IS NULL OR "Tag"."deleted_at" > '2026-01-01 00:00:00.000 +00:00') AND "Tag"."organization_id" = '11111111-1111-4111-8111-111111111111');

--@ case: Sequelize, belongsToMany
--@ verdict: refuse unbound-tenant
SELECT "Product"."id", "tags"."label" AS "tags.label" FROM "org_products" AS "Product" LEFT OUTER JOIN ( "org_product_tags" AS "tags->ProductTag" INNER JOIN "org_tags" AS "tags" ON "tags"."id" = "tags->ProductTag"."tag_id") ON "Product"."id" = "tags->ProductTag"."product_id" AND "tags"."organization_id" = '11111111-1111-4111-8111-111111111111' AND "tags"."deleted_at" IS NULL WHERE ("Product"."deleted_at" IS NULL AND "Product"."organization_id" = '11111111-1111-4111-8111-111111111111');

--@ case: Rails, a scope
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 1 -> admit | 22222222-2222-4222-8222-222222222222, 1 -> refuse foreign-tenant
SELECT "org_tags".* FROM "org_tags" WHERE "org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = $1 ORDER BY "org_tags"."id" ASC LIMIT $2;

--@ case: Rails, exists?
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 1 -> admit
SELECT 1 AS one FROM "org_tags" WHERE "org_tags"."deleted_at" IS NULL AND "org_tags"."organization_id" = $1 LIMIT $2;

--@ case: Rails, includes by the keys
--@ verdict: refuse unbound-tenant
SELECT "org_order_items".* FROM "org_order_items" WHERE "org_order_items"."deleted_at" IS NULL AND "org_order_items"."order_id" IN ($1, $2);

--@ case: Rails, unscoped
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT "org_tags".* FROM "org_tags" WHERE "org_tags"."id" = $1 LIMIT $2;

--@ case: Knex, a where object
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select * from "org_settings" where "organization_id" = $1 order by "key" asc;

--@ case: Kysely, a condition that was skipped
--@ verdict: refuse unbound-tenant
select "value" from "org_settings" where "key" = $1;

--@ case: diesel, eq_any
--@ verdict: admit
--@ bind: {11111111-1111-4111-8111-111111111111} -> admit | {11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222} -> refuse foreign-tenant
SELECT "org_tags"."id" FROM "org_tags" WHERE (("org_tags"."organization_id" = ANY($1)) AND ("org_tags"."deleted_at" IS NULL));

--@ case: sqlx, a filter with a cast array
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, {a1000000-0000-4000-8000-000000000001} -> admit
SELECT id, name FROM org_products WHERE organization_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL;

--@ case: sqlcommenter
--@ verdict: admit
SELECT label FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL /*action='index',controller='tags',traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/;

--@ case: a comment that claims a tenant
--@ verdict: refuse unbound-tenant
SELECT label FROM org_tags WHERE deleted_at IS NULL /*organization_id='11111111-1111-4111-8111-111111111111'*/;
