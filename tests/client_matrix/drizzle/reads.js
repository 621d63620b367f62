// Queries as the application's repositories have them.
import {
  and, arrayContains, asc, count, desc, eq, exists, gt, gte, ilike, inArray, isNull, lt, notExists, or, sql, sum,
} from 'drizzle-orm';
import { union } from 'drizzle-orm/pg-core';

import { open } from './drivers.js';
import { notDeleted, withOrgFilter } from './filters.js';
import { ACME, all, id, seconds } from './harness.js';
import { customers, invoices, items, orders, organizations, plans, products } from './schema.js';

const skus = (rows) => rows.map((row) => row.sku);
const names = (rows) => rows.map((row) => row.name);
const sku = { sku: products.sku };

export const reads = (db) => ({
  list: async () => (await db.select().from(products).where(withOrgFilter(products)).orderBy(asc(products.sku)))
    .map((row) => [row.sku, row.name]),
  by_id: async () => (await db.select().from(products).where(and(withOrgFilter(products), eq(products.id, id('1a1')))).limit(1))
    .flatMap((row) => [row.sku, row.priceCents]),
  by_foreign_id: () => db.select(sku).from(products).where(and(withOrgFilter(products), eq(products.id, id('1b1')))),
  join_three: async () => (await db.select({ label: items.label, note: orders.note, name: customers.name }).from(items)
    .innerJoin(orders, eq(orders.id, items.orderId))
    .innerJoin(customers, and(eq(customers.organizationId, orders.organizationId), eq(customers.id, orders.customerId), notDeleted(customers)))
    .where(and(withOrgFilter(items), withOrgFilter(orders))).orderBy(items.label))
    .map((row) => [row.label, row.note, row.name]),
  left_join: async () => (await db.select({ note: orders.note, name: customers.name }).from(orders)
    .leftJoin(customers, and(eq(customers.id, orders.customerId), withOrgFilter(customers)))
    .where(withOrgFilter(orders)).orderBy(orders.note)).map((row) => [row.note, row.name]),
  count: async () => (await db.select({ total: count() }).from(orders).where(withOrgFilter(orders)))[0].total,
  aggregate: async () => (await db.select({ name: customers.name, count: count(), total: sum(orders.totalCents).mapWith(Number) }).from(orders)
    .innerJoin(customers, eq(customers.id, orders.customerId)).where(and(withOrgFilter(orders), withOrgFilter(customers)))
    .groupBy(customers.id, customers.name).having(gt(count(), 0)).orderBy(customers.name))
    .map((row) => [row.name, row.count, row.total]),
  scalar_subquery: async () => (await db.select({
    name: customers.name,
    orders: sql`(${db.select({ total: count() }).from(orders).where(and(withOrgFilter(orders), eq(orders.customerId, customers.id)))})`.mapWith(Number),
  }).from(customers).where(withOrgFilter(customers)).orderBy(customers.name)).map((row) => [row.name, row.orders]),
  derived_table: async () => {
    const spent = db.select({ customerId: orders.customerId, total: sum(orders.totalCents).mapWith(Number).as('total') }).from(orders)
      .where(withOrgFilter(orders)).groupBy(orders.customerId).as('spent');
    return (await db.select({ name: customers.name, total: spent.total }).from(customers)
      .innerJoin(spent, eq(spent.customerId, customers.id)).where(withOrgFilter(customers)).orderBy(customers.name))
      .map((row) => [row.name, row.total]);
  },
  in_list: async () => skus(await db.select(sku).from(products)
    .where(and(withOrgFilter(products), inArray(products.id, ['1a1', '1b1', '1a3'].map(id)))).orderBy(products.sku)),
  any_array: async () => skus(await db.select(sku).from(products)
    .where(and(withOrgFilter(products), sql`${products.id} = any(${`{${['1a1', '1b1', '1a3'].map(id)}}`}::uuid[])`)).orderBy(products.sku)),
  exists: async () => skus(await db.select(sku).from(products).where(and(withOrgFilter(products), exists(
    db.select({ one: sql`1` }).from(items).where(and(withOrgFilter(items), eq(items.productId, products.id), gt(items.quantity, 1)))))).orderBy(products.sku)),
  not_exists: async () => names(await db.select({ name: customers.name }).from(customers).where(and(withOrgFilter(customers), notExists(
    db.select({ one: sql`1` }).from(orders).where(and(
      eq(orders.organizationId, customers.organizationId), eq(orders.customerId, customers.id), notDeleted(orders), eq(orders.status, 'draft'))))))),
  in_subquery: async () => skus(await db.select(sku).from(products).where(and(withOrgFilter(products), inArray(products.id,
    db.select({ id: items.productId }).from(items).where(and(withOrgFilter(items), eq(items.orderId, id('2a1'))))))).orderBy(products.sku)),
  cte: async () => {
    const waiting = db.$with('waiting').as(db.select({ id: orders.id, note: orders.note }).from(orders)
      .where(and(withOrgFilter(orders), inArray(orders.status, ['draft', 'placed']))));
    const lines = db.$with('lines').as(db.select({ orderId: items.orderId, label: items.label }).from(items).where(withOrgFilter(items)));
    return (await db.with(waiting, lines).select({ note: waiting.note, label: lines.label }).from(waiting)
      .innerJoin(lines, eq(lines.orderId, waiting.id)).orderBy(lines.label)).map((row) => [row.note, row.label]);
  },
  union: async () => names(await union(
    db.select({ name: products.name }).from(products).where(withOrgFilter(products)),
    db.select({ name: customers.name }).from(customers).where(withOrgFilter(customers)),
  ).orderBy(sql`name`)),
  page: async () => skus(await db.select(sku).from(products).where(withOrgFilter(products)).orderBy(desc(products.priceCents)).limit(2).offset(1)),
  keyset: async () => skus(await db.select(sku).from(products)
    .where(and(withOrgFilter(products), or(lt(products.priceCents, 4500), and(eq(products.priceCents, 4500), lt(products.id, id('1a2'))))))
    .orderBy(desc(products.priceCents), desc(products.id)).limit(10)),
  window: async () => (await db.select({ sku: products.sku, place: sql`row_number() over (order by ${products.priceCents} desc)`.mapWith(Number) })
    .from(products).where(withOrgFilter(products)).orderBy(products.sku)).map((row) => [row.sku, row.place]),
  search: async () => skus(await db.select(sku).from(products)
    .where(and(withOrgFilter(products), or(ilike(products.name, '%chi%'), eq(products.stock, 0)))).orderBy(products.sku)),
  distinct: async () => (await db.selectDistinct({ status: orders.status }).from(orders).where(withOrgFilter(orders)).orderBy(orders.status))
    .map((row) => row.status),
  json_filter: async () => (await db.select({ number: invoices.number }).from(invoices)
    .where(and(withOrgFilter(invoices), sql`${invoices.terms} -> 'pay' ->> 'days' = ${'30'}`))).map((row) => row.number),
  json_value: async () => (await db.select({ attributes: products.attributes }).from(products)
    .where(and(withOrgFilter(products), eq(products.sku, 'ANVIL'))))[0].attributes.kilos,
  timestamps: async () => (await db.select({ number: invoices.number, issuedAt: invoices.issuedAt }).from(invoices)
    .where(and(withOrgFilter(invoices), gte(invoices.issuedAt, new Date('2026-01-15')), lt(invoices.issuedAt, new Date('2026-03-10'))))
    .orderBy(invoices.issuedAt)).map((row) => [row.number, seconds(row.issuedAt)]),
  numeric: async () => (await db.select({ number: invoices.number, amount: invoices.amount }).from(invoices)
    .where(and(withOrgFilter(invoices), gt(invoices.amount, '100.25'))).orderBy(invoices.number)).map((row) => [row.number, row.amount]),
  nulls: async () => (await db.select({ number: invoices.number, memo: invoices.memo }).from(invoices)
    .where(and(withOrgFilter(invoices), isNull(invoices.paidAt))).orderBy(invoices.number)).map((row) => [row.number, row.memo]),
  text_array: async () => (await db.select({ number: invoices.number, labels: invoices.labels }).from(invoices)
    .where(and(withOrgFilter(invoices), arrayContains(invoices.labels, ['eu']))).orderBy(invoices.number)).map((row) => [row.number, row.labels]),
  report: async () => {
    const month = sql`date_trunc('month', ${invoices.issuedAt}, 'UTC')`;
    return (await db.select({
      month: sql`extract(epoch from ${month})`.mapWith(Number), count: count(),
      open: sql`coalesce(sum(${invoices.amount}) filter (where ${invoices.paidAt} is null), 0)::numeric(12, 2)::text`,
    }).from(invoices).where(withOrgFilter(invoices)).groupBy(month).orderBy(month)).map((row) => [row.month, row.count, row.open]);
  },
  shared_table: async () => (await db.select({ name: organizations.name, code: plans.code }).from(organizations)
    .innerJoin(plans, eq(plans.id, organizations.planId)).where(eq(organizations.id, ACME))).flatMap((row) => [row.name, row.code]),
  for_update: () => db.transaction(async (tx) => skus(await tx.select(sku).from(products)
    .where(and(withOrgFilter(products), eq(products.id, id('1a1')))).for('update'))),
  count_helper: () => db.$count(orders, withOrgFilter(orders)),
  prepared: async () => {
    const bySku = db.select(sku).from(products).where(and(withOrgFilter(products), eq(products.sku, sql.placeholder('sku'))))
      .prepare(`by_sku_${crypto.randomUUID()}`);
    const found = [];
    for (let at = 0; at < 12; at += 1) found.push((await bySku.execute({ sku: at % 2 === 0 ? 'ANVIL' : 'HAMMER' })).length);
    return found;
  },
  pool: async () => {
    const pool = await open(ACME, 4);
    try {
      const tables = { customers, orders, products };
      const counts = await all(Object.keys(tables).flatMap((name) => {
        const filter = withOrgFilter(tables[name]);
        return [1, 2, 3, 4].map(async () => `${name} ${await pool.db.$count(tables[name], filter)}`);
      }));
      return [...new Set(counts)];
    } finally {
      await pool.end();
    }
  },
  organization_in_transaction: async () => {
    const pool = await open(null);
    try {
      return await pool.db.transaction(async (tx) => {
        await tx.execute(sql`select set_config('app.organization_id', ${ACME}, true)`);
        return skus(await tx.select(sku).from(products).where(withOrgFilter(products)).orderBy(products.sku));
      });
    } finally {
      await pool.end();
    }
  },
});
