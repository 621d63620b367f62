-- Shapes that Drizzle sends (node-postgres and postgres.js).

--@ case: and(eq, isNull)
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
select "id", "sku", "name" from "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null);

--@ case: and(undefined, isNull): the filter that vanished
--@ verdict: refuse unbound-tenant
select "id", "sku", "name" from "org_products" where "org_products"."deleted_at" is null;

--@ case: nested and() with a search
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, %lamp%, P-1, 10, 0 -> admit
select "id", "name" from "org_products" where (("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null) and ("org_products"."name" ilike $2 or "org_products"."sku" = $3)) order by "org_products"."created_at" desc, "org_products"."id" limit $4 offset $5;

--@ case: or() around withOrgFilter
--@ verdict: refuse unbound-tenant, visible-deleted
select "id", "name" from "org_products" where (("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null) or "org_products"."sku" = $2);

--@ case: inArray with one
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
select "id" from "org_products" where ("org_products"."organization_id" in ($1) and "org_products"."deleted_at" is null);

--@ case: inArray of an empty list
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select "id" from "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null and false);

--@ case: $count
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select count(*) from "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null);

--@ case: $count without a filter
--@ verdict: refuse unbound-tenant, visible-deleted
select count(*) from "org_products";

--@ case: leftJoin with the filter of both in ON and WHERE
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
select "org_orders"."number", "org_customers"."name" from "org_orders" left join "org_customers" on ("org_customers"."id" = "org_orders"."customer_id" and "org_customers"."organization_id" = $1 and "org_customers"."deleted_at" is null) where ("org_orders"."organization_id" = $2 and "org_orders"."deleted_at" is null);

--@ case: leftJoin with eq() of the keys only
--@ verdict: refuse unbound-tenant, visible-deleted
select "org_orders"."number", "org_customers"."name" from "org_orders" left join "org_customers" on "org_customers"."id" = "org_orders"."customer_id" where ("org_orders"."organization_id" = $1 and "org_orders"."deleted_at" is null);

--@ case: innerJoin with the organization
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
select "org_orders"."number", "organizations"."name" from "org_orders" inner join "organizations" on "organizations"."id" = "org_orders"."organization_id" where ("organizations"."id" = $1 and "org_orders"."deleted_at" is null);

--@ case: findMany with a filtered relation
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
select "orders"."id", "orders"."number", "orders_items"."data" as "items" from "org_orders" "orders" left join lateral (select coalesce(json_agg(json_build_array("orders_items"."remark", "orders_items"."quantity") order by "orders_items"."id"), '[]'::json) as "data" from (select * from "org_order_items" "orders_items" where ("orders_items"."order_id" = "orders"."id" and ("orders_items"."organization_id" = $1 and "orders_items"."deleted_at" is null))) "orders_items") "orders_items" on true where ("orders"."organization_id" = $2 and "orders"."deleted_at" is null) order by "orders"."id";

--@ case: findMany with a relation that has no filter
--@ verdict: refuse unbound-tenant, visible-deleted
select "orders"."id", "orders"."number", "orders_items"."data" as "items" from "org_orders" "orders" left join lateral (select coalesce(json_agg(json_build_array("orders_items"."remark", "orders_items"."quantity") order by "orders_items"."id"), '[]'::json) as "data" from (select * from "org_order_items" "orders_items" where "orders_items"."order_id" = "orders"."id") "orders_items") "orders_items" on true where ("orders"."organization_id" = $1 and "orders"."deleted_at" is null);

--@ case: findMany with a one() relation by the key
--@ verdict: refuse unbound-tenant, visible-deleted
select "orders"."number", "orders_customer"."data" as "customer" from "org_orders" "orders" left join lateral (select json_build_array("orders_customer"."name") as "data" from (select * from "org_customers" "orders_customer" where "orders_customer"."id" = "orders"."customer_id" limit $1) "orders_customer") "orders_customer" on true where ("orders"."organization_id" = $2 and "orders"."deleted_at" is null);

--@ case: findFirst
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, a3000000-0000-4000-8000-000000000001, 1 -> admit
select "id", "number" from "org_orders" "orders" where ("orders"."organization_id" = $1 and "orders"."id" = $2 and "orders"."deleted_at" is null) limit $3;

--@ case: relational queries of version 2
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 22222222-2222-4222-8222-222222222222, 11111111-1111-4111-8111-111111111111 -> refuse foreign-tenant
select "d0"."id" as "id", "d0"."number" as "number", "items"."r" as "items" from "org_orders" as "d0" left join lateral (select coalesce(json_agg(row_to_json("t".*)), '[]') as "r" from (select "d1"."id" as "id", "d1"."remark" as "remark" from "org_order_items" as "d1" where ("d0"."id" = "d1"."order_id" and "d1"."organization_id" = $1 and "d1"."deleted_at" is null) order by "d1"."id") as "t") as "items" on true where ("d0"."organization_id" = $2 and "d0"."deleted_at" is null) order by "d0"."id";

--@ case: a relation filter of version 2, an EXISTS without the tenant
--@ verdict: refuse unbound-tenant, visible-deleted
select "d0"."id" as "id", "d0"."name" as "name" from "org_customers" as "d0" where ("d0"."organization_id" = $1 and "d0"."deleted_at" is null and exists (select * from "org_orders" as "f0" where ("d0"."id" = "f0"."customer_id" and "f0"."status" = $2) limit 1));

--@ case: a many-to-many through a junction
--@ verdict: refuse unbound-tenant
--@ note: the library never filters the junction
select "d0"."name" as "name", "tags"."r" as "tags" from "org_products" as "d0" left join lateral (select coalesce(json_agg(row_to_json("t".*)), '[]') as "r" from (select "d1"."label" as "label" from "org_tags" as "d1" inner join "org_product_tags" as "tr0" on "tr0"."tag_id" = "d1"."id" where ("d0"."id" = "tr0"."product_id" and "d1"."organization_id" = $1 and "d1"."deleted_at" is null)) as "t") as "tags" on true where ("d0"."organization_id" = $2 and "d0"."deleted_at" is null);

--@ case: insert().values().returning()
--@ verdict: admit
--@ bind: cccccccc-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, x -> admit | cccccccc-0000-4000-8000-000000000001, 22222222-2222-4222-8222-222222222222, x -> refuse foreign-insert
insert into "org_tags" ("id", "organization_id", "label", "created_at", "updated_at", "deleted_at") values ($1, $2, $3, default, default, default) returning "id", "label";

--@ case: insert() without the organization
--@ verdict: refuse foreign-insert
insert into "org_tags" ("id", "organization_id", "label", "created_at", "updated_at", "deleted_at") values ($1, default, $2, default, default, default) returning "id";

--@ case: onConflictDoUpdate with targetWhere of the row
--@ verdict: admit
--@ bind: cccccccc-0000-4000-8000-000000000001, 11111111-1111-4111-8111-111111111111, P-1, new, newer -> admit | cccccccc-0000-4000-8000-000000000001, 22222222-2222-4222-8222-222222222222, P-1, new, newer -> refuse foreign-insert, unguarded-conflict
insert into "org_products" ("id", "organization_id", "sku", "name") values ($1, $2, $3, $4) on conflict ("organization_id","sku") do update set "name" = $5 where "org_products"."deleted_at" is null;

--@ case: onConflictDoUpdate by the key
--@ verdict: refuse unguarded-conflict
insert into "org_products" ("id", "organization_id", "sku", "name") values ($1, $2, $3, $4) on conflict ("id") do update set "name" = $5;

--@ case: onConflictDoNothing
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, a1000000-0000-4000-8000-000000000001, a6000000-0000-4000-8000-000000000001 -> admit
insert into "org_product_tags" ("organization_id", "product_id", "tag_id") values ($1, $2, $3) on conflict do nothing;

--@ case: update().set().where()
--@ verdict: admit
--@ bind: 5, 2026-03-01, 11111111-1111-4111-8111-111111111111, a1000000-0000-4000-8000-000000000001 -> admit | 5, 2026-03-01, 22222222-2222-4222-8222-222222222222, b1000000-0000-4000-8000-000000000001 -> refuse foreign-tenant
update "org_products" set "stock" = $1, "updated_at" = $2 where ("org_products"."organization_id" = $3 and "org_products"."id" = $4 and "org_products"."deleted_at" is null) returning "id", "stock";

--@ case: update() by the key
--@ verdict: refuse unbound-tenant, visible-deleted
update "org_products" set "stock" = $1 where "org_products"."id" = $2;

--@ case: soft delete
--@ verdict: admit
--@ bind: 2026-03-01, 11111111-1111-4111-8111-111111111111, a1000000-0000-4000-8000-000000000001 -> admit
update "org_products" set "deleted_at" = $1 where ("org_products"."organization_id" = $2 and "org_products"."id" = $3 and "org_products"."deleted_at" is null);

--@ case: delete().where()
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, a5000000-0000-4000-8000-000000000003 -> admit
delete from "org_notes" where ("org_notes"."organization_id" = $1 and "org_notes"."id" = $2 and "org_notes"."deleted_at" is null) returning "id";

--@ case: delete() without where
--@ verdict: refuse unbound-tenant, visible-deleted
delete from "org_notes";

--@ case: a subquery as a table
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit
select "org_customers"."name", "sq"."total" from "org_customers" inner join (select "customer_id", sum("total") as "total" from "org_orders" where ("org_orders"."organization_id" = $1 and "org_orders"."deleted_at" is null) group by "org_orders"."customer_id") "sq" on "sq"."customer_id" = "org_customers"."id" where ("org_customers"."organization_id" = $2 and "org_customers"."deleted_at" is null);

--@ case: $with()
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
with "live" as (select "id", "name" from "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null)) select "id", "name" from "live" order by "name";

--@ case: union()
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111, 11111111-1111-4111-8111-111111111111 -> admit | 11111111-1111-4111-8111-111111111111, 22222222-2222-4222-8222-222222222222 -> refuse foreign-tenant
(select "name" from "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null)) union (select "name" from "org_customers" where ("org_customers"."organization_id" = $2 and "org_customers"."deleted_at" is null));

--@ case: a guarded table under its own alias
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select "org_products"."name" from "org_products" "org_products" where ("org_products"."organization_id" = $1 and "org_products"."deleted_at" is null);

--@ case: selectDistinctOn with for update
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select "id" from "org_orders" where ("org_orders"."organization_id" = $1 and "org_orders"."deleted_at" is null) order by "id" for update skip locked;

--@ case: the tenant setter of a transaction
--@ verdict: admit
--@ bind: 11111111-1111-4111-8111-111111111111 -> admit
select set_config('app.organization_id', $1, true);

--@ case: begin with a mode
--@ verdict: admit
begin isolation level serializable read write;

--@ case: a nested transaction
--@ verdict: admit
savepoint sp1;

--@ case: migrations look for their table
--@ verdict: admit
select id, hash, created_at from "drizzle"."__drizzle_migrations" order by created_at desc limit 1;
