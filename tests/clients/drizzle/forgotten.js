// Queries of the same application in which somebody, or the library, forgot the filter. Directly on
// PostgreSQL each gives away or changes a row that is not the organization's, or is soft-deleted
// (`leaks`); behind an enforcing guard each is refused by one of `rules`, with a position on a
// reference to `table`. The statement that must be refused is the last one on an `org_` table.
import { and, count, desc, eq, exists, gt, inArray, isNull, or, sql } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';

import { rowsOf } from './drivers.js';
import { orgCustomers, orgOrderItems, orgOrders, orgProducts, orgTags } from './schema.js';
import { ACME, BOLT, id, withOrgFilter } from './tenant.js';
import { undone } from './undone.js';

const ofAcme = (table) => withOrgFilter(table, ACME);
const marked = (result) => /Foreign|Gone/.test(JSON.stringify(result));
const UNBOUND = ['unbound-tenant'];
const product = { name: orgProducts.name };

const reads = [
  {
    name: 'no where at all',
    run: ({ db }) => db.select(product).from(orgProducts),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'only deleted_at',
    run: ({ db }) => db.select(product).from(orgProducts).where(isNull(orgProducts.deletedAt)),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'only the organization',
    run: ({ db }) => db.select(product).from(orgProducts).where(eq(orgProducts.organizationId, ACME)),
    rules: ['visible-deleted'], table: 'org_products',
  },
  {
    name: 'by primary key alone',
    run: ({ db }) => db.select({ name: orgCustomers.name }).from(orgCustomers).where(eq(orgCustomers.id, id('b1'))),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: 'and(undefined, …) drops the filter silently',
    run: ({ db }) => db.select(product).from(orgProducts).where(and(undefined, isNull(orgProducts.deletedAt), gt(orgProducts.stock, 1))),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'or() opens the filter',
    run: ({ db }) => db.select(product).from(orgProducts)
      .where(and(isNull(orgProducts.deletedAt), or(eq(orgProducts.organizationId, ACME), eq(orgProducts.stock, 5)))),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'a list of organizations',
    run: ({ db }) => db.select(product).from(orgProducts)
      .where(and(inArray(orgProducts.organizationId, [ACME, BOLT]), isNull(orgProducts.deletedAt))),
    rules: ['unbound-tenant', 'mixed-tenants', 'foreign-tenant'], table: 'org_products',
  },
  {
    name: 'another organization as the parameter',
    run: ({ db }) => db.select(product).from(orgProducts).where(withOrgFilter(orgProducts, BOLT)),
    rules: ['foreign-tenant'], table: 'org_products',
  },
  {
    name: 'inner join, second side not filtered',
    run: ({ db }) => db.select({ note: orgOrders.note, customer: orgCustomers.name }).from(orgOrders)
      .innerJoin(orgCustomers, eq(orgOrders.customerId, orgCustomers.id)).where(ofAcme(orgOrders)),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: 'left join, nullable side not filtered',
    run: ({ db }) => db.select({ label: orgOrderItems.label, product: orgProducts.name }).from(orgOrderItems)
      .leftJoin(orgProducts, eq(orgOrderItems.productId, orgProducts.id)).where(ofAcme(orgOrderItems)),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'exists over an unfiltered subquery',
    run: ({ db }) => db.select(product).from(orgProducts).where(and(ofAcme(orgProducts), exists(
      db.select({ one: sql`1` }).from(orgOrderItems)
        .where(and(eq(orgOrderItems.productId, orgProducts.id), gt(orgOrderItems.quantity, 4))),
    ))),
    // No foreign column comes back: the bellows are found by the order of another organization.
    leaks: (rows) => rows.some((row) => row.name === 'Bellows'),
    rules: UNBOUND, table: 'org_order_items',
  },
  {
    name: 'inArray of an unfiltered subquery',
    run: ({ db }) => db.select(product).from(orgProducts).where(and(ofAcme(orgProducts), inArray(
      orgProducts.id, db.select({ id: orgOrderItems.productId }).from(orgOrderItems).where(gt(orgOrderItems.quantity, 4)),
    ))),
    leaks: (rows) => rows.some((row) => row.name === 'Bellows'),
    rules: UNBOUND, table: 'org_order_items',
  },
  {
    name: 'common table expression not filtered',
    run: ({ db }) => {
      const cheap = db.$with('cheap').as(db.select({ name: orgProducts.name, stock: orgProducts.stock }).from(orgProducts));
      return db.with(cheap).select({ name: cheap.name }).from(cheap).where(gt(cheap.stock, 1));
    },
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'filter outside a limited derived table',
    run: ({ db }) => {
      const page = db.select().from(orgProducts).orderBy(desc(orgProducts.priceCents)).limit(2).as('page');
      return db.select({ name: page.name }).from(page).where(and(eq(page.organizationId, ACME), isNull(page.deletedAt)));
    },
    // The page has two rows, one of which another organization's product took.
    leaks: (rows) => rows.length === 1,
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'second arm of a union not filtered',
    run: ({ db }) => unionAll(
      db.select({ name: orgProducts.name }).from(orgProducts).where(ofAcme(orgProducts)),
      db.select({ name: orgCustomers.name }).from(orgCustomers).where(isNull(orgCustomers.deletedAt)),
    ),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: '$count() without a filter',
    run: ({ db }) => db.$count(orgOrders),
    leaks: (total) => total > 4,
    rules: UNBOUND, table: 'org_orders',
  },
  {
    name: 'count() that forgets deleted_at',
    run: async ({ db }) => (await db.select({ total: count() }).from(orgOrders).where(eq(orgOrders.organizationId, ACME)))[0].total,
    leaks: (total) => total > 4,
    rules: ['visible-deleted'], table: 'org_orders',
  },
];

const madeByTheLibrary = [
  {
    name: 'with: one-relation, which takes no where',
    run: ({ db }) => db.query.orgOrderItems.findMany({
      columns: { label: true }, where: ofAcme(orgOrderItems), with: { product: { columns: { name: true } } },
    }),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'with: composite one-relation shows deleted rows',
    run: ({ db }) => db.query.orgOrders.findMany({
      columns: { note: true }, where: ofAcme(orgOrders), with: { customerOfOrganization: { columns: { name: true } } },
    }),
    rules: ['visible-deleted'], table: 'org_customers',
  },
  {
    name: 'with: many-relation without a where',
    run: ({ db }) => db.query.orgOrders.findMany({
      columns: { note: true }, where: ofAcme(orgOrders), with: { items: { columns: { label: true } } },
    }),
    rules: UNBOUND, table: 'org_order_items',
  },
  {
    name: 'extras with an unfiltered subquery',
    run: ({ db }) => db.query.orgProducts.findMany({
      columns: { name: true }, where: ofAcme(orgProducts),
      extras: { sold: sql`(select sum(i.quantity)::int from org_order_items i where i.product_id = "orgProducts"."id")`.as('sold') },
    }),
    leaks: (rows) => rows.some((row) => row.name === 'Bellows' && row.sold === 7),
    rules: UNBOUND, table: 'org_order_items',
  },
];

const writes = [
  {
    name: 'update by primary key alone',
    run: undone((tx) => tx.update(orgProducts).set({ stock: 0 }).where(eq(orgProducts.id, id('1b1'))).returning(product)),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'soft delete by primary key alone',
    run: undone((tx) => tx.update(orgCustomers).set({ deletedAt: sql`now()` }).where(eq(orgCustomers.id, id('b1')))
      .returning({ name: orgCustomers.name })),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: 'delete that forgets the organization',
    run: undone((tx) => tx.delete(orgOrderItems).where(and(gt(orgOrderItems.quantity, 2), isNull(orgOrderItems.deletedAt)))
      .returning({ label: orgOrderItems.label })),
    rules: UNBOUND, table: 'org_order_items',
  },
  {
    name: 'update from another table that is not filtered',
    run: undone((tx) => tx.update(orgOrderItems).set({ label: orgProducts.name }).from(orgProducts)
      .where(and(ofAcme(orgOrderItems), eq(orgOrderItems.productId, orgProducts.id))).returning({ label: orgOrderItems.label })),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'insert for another organization',
    run: undone((tx) => tx.insert(orgTags).values({ id: crypto.randomUUID(), organizationId: BOLT, name: 'Foreign planted' })
      .returning({ name: orgTags.name })),
    rules: ['foreign-insert', 'foreign-tenant'], table: 'org_tags',
  },
  {
    name: 'one row of several for another organization',
    run: undone((tx) => tx.insert(orgTags).values([
      { id: crypto.randomUUID(), organizationId: ACME, name: 'ours' },
      { id: crypto.randomUUID(), organizationId: BOLT, name: 'Foreign planted' },
    ]).returning({ name: orgTags.name })),
    rules: ['foreign-insert', 'foreign-tenant', 'mixed-tenants'], table: 'org_tags',
  },
  {
    name: 'insert from an unfiltered select',
    run: undone(async (tx) => rowsOf(await tx.execute(sql`insert into ${orgTags} (id, organization_id, name)
      select gen_random_uuid(), ${ACME}::uuid, name from org_customers returning name`))),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: 'upsert whose target is not guarded',
    run: undone((tx) => tx.insert(orgProducts).values({
      id: id('1b1'), organizationId: ACME, sku: 'ANVIL-2', name: 'Foreign drill, taken over', priceCents: 1,
    }).onConflictDoUpdate({ target: orgProducts.id, set: { name: sql`excluded.name` } })
      .returning({ name: orgProducts.name, organizationId: orgProducts.organizationId })),
    leaks: ([row]) => row.organizationId === BOLT,
    rules: ['unguarded-conflict', 'unbound-tenant'], table: 'org_products',
  },
  {
    name: 'update that moves a row to another organization',
    run: undone((tx) => tx.update(orgProducts).set({ organizationId: BOLT })
      .where(and(ofAcme(orgProducts), eq(orgProducts.sku, 'CHISEL'))).returning({ organizationId: orgProducts.organizationId })),
    leaks: ([row]) => row.organizationId === BOLT,
    rules: ['tenant-move', 'foreign-tenant'], table: 'org_products',
  },
];

const sessions = [
  {
    name: 'prepared statement executed for another organization',
    run: async ({ db }) => {
      const all = db.select(product).from(orgProducts)
        .where(and(eq(orgProducts.organizationId, sql.placeholder('organization')), isNull(orgProducts.deletedAt)))
        .prepare('products_of_organization');
      await all.execute({ organization: ACME });
      return all.execute({ organization: BOLT });
    },
    rules: ['foreign-tenant'], table: 'org_products',
  },
  {
    name: 'another organization than set_config($1) named',
    run: undone(async (tx) => {
      await tx.execute(sql`select set_config('app.organization_id', ${BOLT}, true)`);
      return tx.select({ name: orgTags.name, organizationId: orgTags.organizationId }).from(orgTags).where(ofAcme(orgTags));
    }),
    leaks: ([row]) => row.organizationId === ACME,
    rules: ['foreign-tenant'], table: 'org_tags',
  },
  {
    name: 'sql template that forgets the organization',
    run: async ({ db }) => rowsOf(await db.execute(sql`select p.name from ${orgProducts} p where p.price_cents > ${2000}`)),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'simple query with text before the table',
    run: ({ raw: query }) => query("select 'Preis für 🧊' as label, p.name from public.org_products as p where p.deleted_at is null"),
    rules: UNBOUND, table: 'org_products',
  },
  {
    name: 'second statement of a simple query',
    run: ({ raw: query }) => query('select 1 as one; select name from org_customers'),
    rules: UNBOUND, table: 'org_customers',
  },
  {
    name: 'server cursor without a filter',
    run: async ({ stream }) => {
      const all = [];
      for await (const rows of stream('select name from org_products where stock >= $1 order by name', [0], 2)) all.push(...rows);
      return all;
    },
    rules: UNBOUND, table: 'org_products',
  },
];

export const forgotten = [...reads, ...madeByTheLibrary, ...writes, ...sessions]
  .map((entry) => ({ leaks: marked, ...entry }));
