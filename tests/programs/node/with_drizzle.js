// A Drizzle program without any tenant filter, over node-postgres or postgres.js (FORM).
import { and, asc, avg, count, desc, eq, exists, gt, ilike, inArray, isNull, like, lt, ne, not, notExists, notInArray, or, sql, sum } from 'drizzle-orm';
import { drizzle as overNodePostgres } from 'drizzle-orm/node-postgres';
import { alias, except, intersect, union, unionAll } from 'drizzle-orm/pg-core';
import { drizzle as overPostgresJs } from 'drizzle-orm/postgres-js';
import pg from 'pg';
import postgres from 'postgres';

import * as schema from './drizzle_schema.js';
import { foreign, fresh, own, run, tenant, url } from './steps.js';

const { customers, items, orders, productTags, products, tags } = schema;

const OVER = {
  'node-postgres': () => {
    const pool = new pg.Pool({ connectionString: url, options: `-c app.organization_id=${tenant}`, max: 2 });
    return { db: overNodePostgres(pool, { schema }), end: () => pool.end() };
  },
  'postgres.js': () => {
    const client = postgres(url, { max: 2, onnotice: () => {}, connection: { 'app.organization_id': tenant } });
    return { db: overPostgresJs(client, { schema }), end: () => client.end() };
  },
};
const { db, end } = OVER[process.env.FORM ?? 'node-postgres']();
const rows = (result) => (Array.isArray(result) ? [...result] : result.rows);
const changed = (result) => result.rowCount ?? result.count;

await run({
  everyProduct: () => db.select().from(products).orderBy(products.sku),
  someColumns: () => db.select({ sku: products.sku, upper: sql`upper(${products.name})` }).from(products).orderBy(products.sku),
  byKey: () => db.select({ name: products.name }).from(products).where(eq(products.id, own(1, 1))),
  byForeignKey: () => db.select().from(products).where(eq(products.id, foreign(1, 1))),
  byEither: () => db.select({ sku: products.sku }).from(products)
    .where(or(eq(products.stock, 0), gt(products.priceCents, 2000), eq(products.id, foreign(1, 1)))).orderBy(products.sku),

  insert: () => db.insert(products).values({ id: fresh(1), sku: 'LAMP', name: 'Lamp', priceCents: 700, attributes: { volts: 230 } }).returning(),
  insertMany: async () => changed(await db.insert(products).values(
    [0, 1, 2, 3, 4].map((at) => ({ id: fresh(10 + at), sku: `BOX${at}`, name: `Box ${at}`, priceCents: at, stock: 10 * at })))),
  insertOfOrganization: () => db.insert(tags).values({ id: fresh(2), organizationId: tenant, name: 'bright' }).returning(),
  insertForAnother: () => db.insert(tags).values({ id: fresh(3), organizationId: '01900000-0000-7000-8000-00000000000c', name: 'planted' }),
  insertFromSelect: async () => changed(await db.insert(tags).select(
    db.select({ id: sql`md5(${products.id}::text)::uuid`.as('id'), organizationId: products.organizationId, name: products.name }).from(products).where(eq(products.sku, 'LAMP')))),

  upsert: () => db.insert(products).values({ id: fresh(4), sku: 'LAMP', name: 'Desk lamp', priceCents: 800 })
    .onConflictDoUpdate({ target: [products.organizationId, products.sku], set: { name: sql`excluded.name`, priceCents: 800 } })
    .returning({ id: products.id, name: products.name, priceCents: products.priceCents }),
  upsertMany: () => db.insert(products).values([
    { id: fresh(5), sku: 'LAMP', name: 'Floor lamp', priceCents: 900 }, { id: fresh(6), sku: 'TABLE', name: 'Table', priceCents: 9000 }])
    .onConflictDoUpdate({ target: [products.organizationId, products.sku], set: { name: sql`excluded.name` } })
    .returning({ sku: products.sku, name: products.name }),
  upsertWhere: () => db.insert(products).values({ id: fresh(7), sku: 'LAMP', name: 'Never', priceCents: 1 })
    .onConflictDoUpdate({ target: [products.organizationId, products.sku], set: { name: 'Never' }, setWhere: gt(products.priceCents, 5000) }).returning(),
  upsertByKey: () => db.insert(tags).values({ id: fresh(2), name: 'brighter' })
    .onConflictDoUpdate({ target: tags.id, set: { name: sql`excluded.name` } }).returning({ name: tags.name }),
  upsertOverForeignKey: () => db.insert(tags).values({ id: foreign(4, 1), name: 'mine now' })
    .onConflictDoUpdate({ target: tags.id, set: { name: sql`excluded.name` } }),
  doNothing: () => db.insert(tags).values([{ id: fresh(2), name: 'lost' }, { id: fresh(8), name: 'warm' }]).onConflictDoNothing().returning({ name: tags.name }),

  update: () => db.update(products).set({ stock: sql`${products.stock} + 5` }).where(eq(products.sku, 'LAMP')).returning({ stock: products.stock }),
  updateAll: async () => changed(await db.update(products).set({ stock: sql`${products.stock} + 1` })),
  updateForeign: async () => changed(await db.update(products).set({ stock: 0 }).where(eq(products.id, foreign(1, 1)))),
  updateFrom: () => db.update(items).set({ label: products.name }).from(products)
    .where(and(eq(items.productId, products.id), eq(products.sku, 'ANVIL'))).returning({ label: items.label, sku: products.sku }),
  updateByCte: async () => {
    const cheap = db.$with('cheap').as(db.select({ id: products.id }).from(products).where(lt(products.priceCents, 3)));
    return (await db.with(cheap).update(products).set({ stock: 77 }).where(inArray(products.id, db.select({ id: cheap.id }).from(cheap)))
      .returning({ sku: products.sku })).map((row) => row.sku).sort();
  },

  relatedInserts: () => db.transaction(async (tx) => {
    const [nora] = await tx.insert(customers).values({ id: fresh(20), name: 'Nora', email: 'new@example.test' }).returning();
    const [order] = await tx.insert(orders).values({ id: fresh(21), customerId: nora.id, note: 'for Nora', totalCents: 1400 }).returning();
    await tx.insert(items).values([
      { id: fresh(22), orderId: order.id, productId: fresh(1), label: 'two lamps', quantity: 2 },
      { id: fresh(23), orderId: order.id, productId: fresh(1), label: 'one lamp', quantity: 1 }]);
    await tx.insert(productTags).values({ productId: fresh(1), tagId: fresh(2) });
    return [nora.name, order.status];
  }),

  findMany: () => db.query.products.findMany({ columns: { sku: true, stock: true }, orderBy: asc(products.sku) }),
  findFirst: () => db.query.products.findFirst({ columns: { name: true }, where: eq(products.sku, 'ANVIL') }),
  findForeign: async () => (await db.query.products.findFirst({ where: eq(products.id, foreign(1, 1)) })) ?? 'none',
  withOne: () => db.query.orders.findMany({ columns: { note: true }, with: { customer: { columns: { name: true } } }, orderBy: asc(orders.note) }),
  withMany: () => db.query.customers.findMany({
    columns: { name: true }, orderBy: asc(customers.name), with: { orders: { columns: { note: true }, orderBy: asc(orders.note) } } }),
  withNested: () => db.query.customers.findMany({
    orderBy: asc(customers.name),
    with: { orders: { orderBy: asc(orders.note), with: { items: { orderBy: asc(items.label), with: { product: true } } } } } }),
  withLimited: () => db.query.customers.findMany({
    columns: { name: true }, orderBy: asc(customers.name), limit: 2,
    with: { orders: { columns: { note: true }, orderBy: desc(orders.note), limit: 1, where: ne(orders.note, 'second') } } }),
  withUpwards: () => db.query.items.findMany({
    columns: { label: true }, orderBy: asc(items.label), with: { order: { columns: { note: true }, with: { customer: { columns: { name: true } } } }, product: { columns: { sku: true } } } }),
  withExtras: () => db.query.products.findMany({
    columns: { sku: true }, orderBy: asc(products.sku), extras: { loud: sql`upper(${products.name})`.as('loud') },
    where: (table, operators) => operators.gt(table.stock, 0) }),
  withJunction: () => db.query.products.findMany({
    columns: { sku: true }, orderBy: asc(products.sku), with: { productTags: { columns: {}, with: { tag: { columns: { name: true } } } } } }),
  withWholeTable: () => db.query.tags.findMany({ columns: { name: true }, orderBy: asc(tags.name), with: { productTags: { with: { product: { columns: { sku: true } } } } } }),

  $count: async () => [await db.$count(products), await db.$count(products, gt(products.stock, 50)), await db.$count(productTags)],
  $countAsColumn: () => db.select({ name: customers.name, orders: db.$count(orders, eq(orders.customerId, customers.id)) }).from(customers).orderBy(customers.name),
  counts: () => db.select({ all: count(), spent: sum(orders.totalCents), mean: avg(orders.totalCents) }).from(orders),

  innerJoin: () => db.select({ note: orders.note, name: customers.name }).from(orders).innerJoin(customers, eq(orders.customerId, customers.id)).orderBy(orders.note),
  leftJoin: () => db.select({ note: orders.note, name: customers.name }).from(orders).leftJoin(customers, eq(orders.customerId, customers.id)).orderBy(orders.note),
  leftJoinWhole: () => db.select().from(customers).leftJoin(orders, eq(orders.customerId, customers.id)).orderBy(customers.name, orders.note),
  rightJoin: () => db.select({ label: items.label, sku: products.sku }).from(items).rightJoin(products, eq(items.productId, products.id)).orderBy(products.sku, items.label),
  fullJoin: () => db.select({ label: items.label, sku: products.sku }).from(items).fullJoin(products, eq(items.productId, products.id)).orderBy(products.sku, items.label),
  crossJoin: async () => (await db.select({ one: products.sku, two: tags.name }).from(products).crossJoin(tags)).length,
  leftJoinLateral: () => {
    const latest = db.select({ note: orders.note }).from(orders).where(eq(orders.customerId, customers.id)).orderBy(desc(orders.note)).limit(1).as('latest');
    return db.select({ name: customers.name, note: latest.note }).from(customers).leftJoinLateral(latest, sql`true`).orderBy(customers.name);
  },
  selfJoin: () => {
    const other = alias(orders, 'other');
    return db.select({ one: orders.note, two: other.note }).from(orders)
      .innerJoin(other, and(eq(other.customerId, orders.customerId), lt(orders.note, other.note))).orderBy(orders.note, other.note);
  },
  groupBy: () => db.select({ name: customers.name, count: count(orders.id), total: sum(orders.totalCents) }).from(customers)
    .leftJoin(orders, eq(orders.customerId, customers.id)).groupBy(customers.id).orderBy(customers.name),
  having: () => db.select({ product: items.productId, sold: sum(items.quantity) }).from(items).groupBy(items.productId)
    .having(({ sold }) => gt(sold, 1)).orderBy(items.productId),
  distinctOn: () => db.selectDistinctOn([orders.customerId], { note: orders.note }).from(orders).orderBy(orders.customerId, desc(orders.note)),
  exists: () => db.select({ name: customers.name }).from(customers)
    .where(exists(db.select({ one: sql`1` }).from(orders).where(eq(orders.customerId, customers.id)))).orderBy(customers.name),
  notExists: () => db.select({ sku: products.sku }).from(products)
    .where(notExists(db.select().from(items).where(eq(items.productId, products.id)))).orderBy(products.sku),
  inSubquery: () => db.select({ sku: products.sku }).from(products).where(inArray(products.id, db.select({ id: items.productId }).from(items))).orderBy(products.sku),
  notInSubquery: () => db.select({ sku: products.sku }).from(products).where(notInArray(products.id, db.select({ id: items.productId }).from(items))).orderBy(products.sku),
  derived: () => {
    const spent = db.select({ customerId: orders.customerId, spent: sum(orders.totalCents).as('spent') }).from(orders).groupBy(orders.customerId).as('spent');
    return db.select({ name: customers.name, spent: spent.spent }).from(customers).leftJoin(spent, eq(spent.customerId, customers.id)).orderBy(customers.name);
  },
  commonTables: () => {
    const busy = db.$with('busy').as(db.select({ customerId: orders.customerId, n: count().as('n') }).from(orders).groupBy(orders.customerId));
    return db.with(busy).select({ name: customers.name, n: busy.n }).from(busy).innerJoin(customers, eq(customers.id, busy.customerId)).orderBy(customers.name);
  },
  union: () => union(db.select({ name: products.name }).from(products), db.select({ name: customers.name }).from(customers)).orderBy(sql`name`),
  unionAll: () => unionAll(db.select({ name: tags.name }).from(tags).where(like(tags.name, 'b%')), db.select({ name: tags.name }).from(tags).where(like(tags.name, '%r'))).orderBy(sql`name`),
  intersectAndExcept: async () => [
    await intersect(db.select({ id: products.id }).from(products), db.select({ id: items.productId }).from(items)).orderBy(sql`1`),
    await except(db.select({ id: items.productId }).from(items), db.select({ id: products.id }).from(products)).orderBy(sql`1`)],
  window: () => db.select({ sku: products.sku, place: sql`row_number() over (order by ${products.priceCents} desc, ${products.sku})` }).from(products).orderBy(products.sku),
  prepared: async () => {
    const bySku = db.select({ name: products.name }).from(products).where(eq(products.sku, sql.placeholder('sku'))).prepare('by_sku');
    return [await bySku.execute({ sku: 'LAMP' }), await bySku.execute({ sku: 'DRILL' }), await bySku.execute({ sku: 'ANVIL' })];
  },
  forUpdate: () => db.transaction((tx) => tx.select({ note: orders.note }).from(orders).innerJoin(customers, eq(orders.customerId, customers.id))
    .orderBy(orders.note).for('update', { of: orders, skipLocked: true })),
  search: () => db.select({ sku: products.sku }).from(products).where(and(ilike(products.name, '%b%'), not(isNull(products.attributes)))).orderBy(products.sku).limit(3).offset(1),
  raw: async () => rows(await db.execute(sql`select o.note, c.name, to_jsonb(c) ->> 'email' as email from org_orders o left join org_customers c on c.id = o.customer_id order by o.note`)),
  rawDelete: async () => changed(await db.execute(sql`delete from org_tags where name = 'warm'`)),
  rolledBack: () => db.transaction(async (tx) => {
    await tx.insert(tags).values({ id: fresh(30), name: 'kept' });
    await tx.transaction(async (nested) => {
      await nested.insert(tags).values({ id: fresh(31), name: 'lost' });
      nested.rollback();
    }).catch(() => {});
    return tx.select({ name: tags.name }).from(tags).where(inArray(tags.name, ['kept', 'lost']));
  }),

  deleteForeign: async () => changed(await db.delete(products).where(eq(products.id, foreign(1, 2)))),
  deleteReturning: () => db.delete(items).where(like(items.label, '%lamp%')).returning({ label: items.label }),
  deleteInSubquery: async () => changed(await db.delete(orders).where(inArray(orders.customerId, db.select({ id: customers.id }).from(customers).where(eq(customers.name, 'Nora'))))),
  deleteByCte: async () => {
    const unused = db.$with('unused').as(db.select({ id: products.id }).from(products).where(notExists(db.select().from(items).where(eq(items.productId, products.id)))));
    return changed(await db.with(unused).delete(products).where(and(like(products.sku, 'BOX%'), inArray(products.id, db.select({ id: unused.id }).from(unused)))));
  },
  deleteAll: async () => changed(await db.delete(productTags)),
  whatIsLeft: async () => [await db.$count(products), await db.$count(customers), await db.$count(orders), await db.$count(items), await db.$count(tags)],
});
await end();
