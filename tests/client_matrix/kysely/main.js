// Kysely over node-postgres.
import { createRequire } from 'node:module';

import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import Cursor from 'pg-cursor';

import { ACME, all, filter, filterLive, filterOrganization, fresh, id, newId, organization, run, seconds, violated } from './harness.js';

const require = createRequire(import.meta.url);
const versionOf = (name) => require(`./node_modules/${name}/package.json`).version;

function open(tenant, max = 1) {
  const options = tenant && `-c app.organization_id=${tenant}`;
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, options, max, application_name: 'shop' });
  return new Kysely({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
}

const db = open(ACME);

/** The filter of the application: rows of the organization that are not soft-deleted. */
const ofOrganization = (...tables) => (query) => tables.reduce((narrowed, table) => {
  const { organization: of, live } = filter();
  return narrowed
    .$if(of !== undefined, (q) => q.where(`${table}.organization_id`, '=', of))
    .$if(live, (q) => q.where(`${table}.deleted_at`, 'is', null));
}, query);

/** The same as an expression, for `on` and subqueries. */
const within = (eb, table) => {
  const { organization: of, live } = filter();
  return eb.and([...(of ? [eb(`${table}.organization_id`, '=', of)] : []), ...(live ? [eb(`${table}.deleted_at`, 'is', null)] : [])]);
};

const alive = (eb, table) => (filterLive() ? eb(`${table}.deleted_at`, 'is', null) : eb.val(true));

const skus = (rows) => rows.map((row) => row.sku);
const names = (rows) => rows.map((row) => row.name);
const arrays = (rows) => rows.map((row) => Object.values(row));
const products = () => db.selectFrom('org_products').select('sku').$call(ofOrganization('org_products'));
const invoices = () => db.selectFrom('org_invoices').$call(ofOrganization('org_invoices')).orderBy('number');
const product = (word, name) => ({ id: newId(), organization_id: organization(), sku: fresh(word), name, price_cents: 100 });
const tag = (name) => ({ id: newId(), organization_id: organization(), name });
const countTags = async (on, name) => (await on.selectFrom('org_tags').select('id').$call(ofOrganization('org_tags')).where('name', '=', name).execute()).length;
const ids = ['1a1', '1b1', '1a3'].map(id);

const reads = {
  list: async () => arrays(await products().select('name').orderBy('sku').execute()),
  by_id: async () => Object.values(await products().select('price_cents').where('id', '=', id('1a1')).executeTakeFirstOrThrow()),
  by_foreign_id: () => products().where('id', '=', id('1b1')).execute(),
  join_three: async () => arrays(await db.selectFrom('org_order_items as i')
    .innerJoin('org_orders as o', 'o.id', 'i.order_id')
    .innerJoin('org_customers as c', (join) => join.onRef('c.organization_id', '=', 'o.organization_id').onRef('c.id', '=', 'o.customer_id').on((eb) => alive(eb, 'c')))
    .select(['i.label', 'o.note', 'c.name']).$call(ofOrganization('i', 'o')).orderBy('i.label').execute()),
  left_join: async () => arrays(await db.selectFrom('org_orders as o')
    .leftJoin('org_customers as c', (join) => join.onRef('c.id', '=', 'o.customer_id').on((eb) => within(eb, 'c')))
    .select(['o.note', 'c.name']).$call(ofOrganization('o')).orderBy('o.note').execute()),
  count: async () => Number((await db.selectFrom('org_orders').select((eb) => eb.fn.countAll().as('total')).$call(ofOrganization('org_orders')).executeTakeFirst()).total),
  aggregate: async () => (await db.selectFrom('org_orders as o').innerJoin('org_customers as c', 'c.id', 'o.customer_id')
    .select((eb) => ['c.name', eb.fn.countAll().as('orders'), eb.fn.sum('o.total_cents').as('total')])
    .$call(ofOrganization('o', 'c')).groupBy(['c.id', 'c.name']).having((eb) => eb.fn.countAll(), '>', 0).orderBy('c.name').execute())
    .map((row) => [row.name, Number(row.orders), Number(row.total)]),
  scalar_subquery: async () => (await db.selectFrom('org_customers as c').select((eb) => ['c.name',
    eb.selectFrom('org_orders as o').select((inner) => inner.fn.countAll().as('total')).$call(ofOrganization('o')).whereRef('o.customer_id', '=', 'c.id').as('orders'),
  ]).$call(ofOrganization('c')).orderBy('c.name').execute()).map((row) => [row.name, Number(row.orders)]),
  derived_table: async () => (await db.selectFrom('org_customers as c').innerJoin(
    (eb) => eb.selectFrom('org_orders as o').select((inner) => ['o.customer_id', inner.fn.sum('o.total_cents').as('total')])
      .$call(ofOrganization('o')).groupBy('o.customer_id').as('spent'),
    'spent.customer_id', 'c.id',
  ).select(['c.name', 'spent.total']).$call(ofOrganization('c')).orderBy('c.name').execute()).map((row) => [row.name, Number(row.total)]),
  in_list: async () => skus(await products().where('id', 'in', ids).orderBy('sku').execute()),
  any_array: async () => skus(await products().where((eb) => eb('id', '=', eb.fn.any(eb.val(ids)))).orderBy('sku').execute()),
  exists: async () => skus(await db.selectFrom('org_products as p').select('p.sku').$call(ofOrganization('p'))
    .where((eb) => eb.exists(eb.selectFrom('org_order_items as i').select('i.id').$call(ofOrganization('i'))
      .whereRef('i.product_id', '=', 'p.id').where('i.quantity', '>', 1))).orderBy('p.sku').execute()),
  not_exists: async () => names(await db.selectFrom('org_customers as c').select('c.name').$call(ofOrganization('c'))
    .where((eb) => eb.not(eb.exists(eb.selectFrom('org_orders as o').select(sql`1`.as('one')).whereRef('o.organization_id', '=', 'c.organization_id')
      .whereRef('o.customer_id', '=', 'c.id').where('o.status', '=', 'draft').where((inner) => alive(inner, 'o'))))).execute()),
  in_subquery: async () => skus(await products().where('id', 'in', (eb) => eb.selectFrom('org_order_items as i').select('i.product_id')
    .$call(ofOrganization('i')).where('i.order_id', '=', id('2a1'))).orderBy('sku').execute()),
  cte: async () => arrays(await db
    .with('waiting', (on) => on.selectFrom('org_orders as o').select(['o.id', 'o.note']).$call(ofOrganization('o')).where('o.status', 'in', ['draft', 'placed']))
    .with('lines', (on) => on.selectFrom('org_order_items as i').select(['i.order_id', 'i.label']).$call(ofOrganization('i')))
    .selectFrom('waiting').innerJoin('lines', 'lines.order_id', 'waiting.id').select(['waiting.note', 'lines.label']).orderBy('lines.label').execute()),
  union: async () => names(await db.selectFrom('org_products as p').select('p.name').$call(ofOrganization('p'))
    .union(db.selectFrom('org_customers as c').select('c.name').$call(ofOrganization('c'))).orderBy('name').execute()),
  page: async () => skus(await products().orderBy('price_cents', 'desc').limit(2).offset(1).execute()),
  keyset: async () => skus(await products().where((eb) => eb(eb.refTuple('price_cents', 'id'), '<', eb.tuple(4500, id('1a2'))))
    .orderBy('price_cents', 'desc').orderBy('id', 'desc').limit(10).execute()),
  window: async () => (await products().select((eb) => eb.fn.agg('row_number').over((over) => over.orderBy('price_cents', 'desc')).as('place')).orderBy('sku').execute())
    .map((row) => [row.sku, Number(row.place)]),
  search: async () => skus(await products().where((eb) => eb.or([eb('name', 'ilike', '%chi%'), eb('stock', '=', 0)])).orderBy('sku').execute()),
  distinct: async () => (await db.selectFrom('org_orders').select('status').distinct().$call(ofOrganization('org_orders')).orderBy('status').execute()).map((row) => row.status),
  json_filter: async () => (await invoices().select('number').where((eb) => eb(eb.ref('terms', '->').key('pay').key('days'), '=', '30')).execute()).map((row) => row.number),
  json_value: async () => (await products().select('attributes').where('sku', '=', 'ANVIL').executeTakeFirst()).attributes.kilos,
  timestamps: async () => (await invoices().select(['number', 'issued_at']).where('issued_at', '>=', new Date('2026-01-15')).where('issued_at', '<', new Date('2026-03-10')).execute())
    .map((row) => [row.number, seconds(row.issued_at)]),
  numeric: async () => arrays(await invoices().select(['number', 'amount']).where('amount', '>', '100.25').execute()),
  nulls: async () => arrays(await invoices().select(['number', 'memo']).where('paid_at', 'is', null).execute()),
  text_array: async () => arrays(await invoices().select(['number', 'labels']).where(sql`'eu'`, '=', (eb) => eb.fn.any('labels')).execute()),
  report: async () => {
    const month = sql`date_trunc('month', issued_at, 'UTC')`;
    return (await db.selectFrom('org_invoices').$call(ofOrganization('org_invoices')).groupBy(month).orderBy(month).select((eb) => [
      sql`extract(epoch from ${month})`.as('month'), eb.fn.countAll().as('count'),
      eb.fn.coalesce(eb.fn.sum('amount').filterWhere('paid_at', 'is', null), sql`0::numeric(12, 2)`).as('open'),
    ]).execute()).map((row) => [Number(row.month), Number(row.count), Number(row.open).toFixed(2)]);
  },
  shared_table: async () => Object.values(await db.selectFrom('organizations as g').innerJoin('plans as s', 's.id', 'g.plan_id').select(['g.name', 's.code'])
    .where('g.id', '=', ACME).executeTakeFirst()),
  for_update: () => db.transaction().execute(async (tx) => skus(await tx.selectFrom('org_products').select('sku').$call(ofOrganization('org_products'))
    .where('id', '=', id('1a1')).forUpdate().execute())),
  prepared: async () => {
    const compiled = (sku) => products().where('sku', '=', sku);
    const filtered = compiled('ANVIL').compile();
    const found = [];
    for (let at = 0; at < 12; at += 1) {
      const parameters = [...filtered.parameters.slice(0, -1), at % 2 === 0 ? 'ANVIL' : 'HAMMER'];
      found.push((await db.executeQuery({ ...filtered, parameters })).rows.length);
    }
    return found;
  },
  pool: async () => {
    const pool = open(ACME, 4);
    try {
      const counts = await all(['customers', 'orders', 'products'].flatMap((name) => {
        const query = pool.selectFrom(`org_${name}`).select((eb) => eb.fn.countAll().as('total')).$call(ofOrganization(`org_${name}`));
        return [1, 2, 3, 4].map(async () => `${name} ${(await query.executeTakeFirst()).total}`);
      }));
      return [...new Set(counts)];
    } finally {
      await pool.destroy();
    }
  },
  organization_in_transaction: async () => {
    const pool = open(undefined);
    try {
      return await pool.transaction().execute(async (tx) => {
        await sql`select set_config('app.organization_id', ${ACME}, true)`.execute(tx);
        return skus(await tx.selectFrom('org_products').select('sku').$call(ofOrganization('org_products')).orderBy('sku').execute());
      });
    } finally {
      await pool.destroy();
    }
  },
  stream: async () => {
    const batches = [[], []];
    let at = 0;
    for await (const row of products().orderBy('sku').stream(2)) {
      batches[Math.floor(at / 2)].push(row.sku);
      at += 1;
    }
    return batches;
  },
};

const writes = {
  insert: async () => {
    const lamp = product('LAMP', 'Lamp');
    await db.insertInto('org_products').values(lamp).execute();
    return names(await products().select('name').where('id', '=', lamp.id).execute());
  },
  insert_returning: async () => Object.values(await db.insertInto('org_products').values(product('ROPE', 'Rope')).returning(['name', 'stock']).executeTakeFirst()),
  insert_batch: async () => Number((await db.insertInto('org_tags').values(['red', 'green', 'blue'].map((name) => tag(fresh(name)))).executeTakeFirst()).numInsertedOrUpdatedRows),
  upsert: async () => (await db.insertInto('org_products')
    .values({ id: newId(), organization_id: organization(), sku: 'ANVIL', name: 'Anvil', price_cents: 9900, stock: 1 })
    .onConflict((conflict) => conflict.columns(['organization_id', 'sku'])
      .doUpdateSet((eb) => ({ name: eb.ref('excluded.name'), stock: sql`org_products.stock + excluded.stock` }))
      .where((eb) => alive(eb, 'org_products')))
    .returning('stock').executeTakeFirst()).stock,
  upsert_nothing: async () => Number((await db.insertInto('org_products')
    .values({ id: newId(), organization_id: organization(), sku: 'ANVIL', name: 'Second anvil', price_cents: 1 })
    .onConflict((conflict) => conflict.columns(['organization_id', 'sku']).doNothing()).executeTakeFirst()).numInsertedOrUpdatedRows),
  update: async () => Number((await db.updateTable('org_products').set({ stock: 39, updated_at: sql`now()` }).$call(ofOrganization('org_products'))
    .where('sku', '=', 'CHISEL').executeTakeFirst()).numUpdatedRows),
  update_returning: async () => Object.values(await db.updateTable('org_products').set({ price_cents: 4600 }).$call(ofOrganization('org_products'))
    .where('id', '=', id('1a2')).returning(['sku', 'price_cents']).executeTakeFirst()),
  update_from: async () => (await db.updateTable('org_order_items as i').from('org_products as p').set((eb) => ({ label: eb.ref('p.name') }))
    .whereRef('p.id', '=', 'i.product_id').where('i.quantity', '=', 2).$call(ofOrganization('i', 'p')).returning('i.label').execute()).map((row) => row.label),
  soft_delete: async () => {
    const gone = tag(fresh('gone'));
    await db.insertInto('org_tags').values(gone).execute();
    const { numUpdatedRows } = await db.updateTable('org_tags').set({ deleted_at: sql`now()` }).$call(ofOrganization('org_tags')).where('id', '=', gone.id).executeTakeFirst();
    return [Number(numUpdatedRows), await countTags(db, gone.name)];
  },
  delete_junction: async () => {
    const link = { organization_id: organization(), product_id: id('1a3'), tag_id: id('4a1') };
    await db.insertInto('org_product_tags').values(link).onConflict((conflict) => conflict.doNothing()).execute();
    const of = filterOrganization();
    return Number((await db.deleteFrom('org_product_tags').$if(of !== undefined, (q) => q.where('organization_id', '=', of))
      .where('product_id', '=', link.product_id).executeTakeFirst()).numDeletedRows);
  },
  insert_select: async () => Number((await db.insertInto('org_tags').columns(['id', 'organization_id', 'name'])
    .expression((eb) => eb.selectFrom('org_products as p').select((inner) => [sql`${newId()}::uuid`.as('id'), 'p.organization_id', 'p.name'])
      .$call(ofOrganization('p')).where('p.sku', '=', 'ANVIL')).executeTakeFirst()).numInsertedOrUpdatedRows),
  modifying_cte: async () => (await db.with('moved', (on) => on.updateTable('org_orders').set({ status: 'shipped' }).$call(ofOrganization('org_orders'))
    .where('note', '=', 'first').returning('note')).selectFrom('moved').select('note').execute()).map((row) => row.note),
  transaction: () => db.transaction().execute(async (tx) => {
    const alan = await tx.selectFrom('org_customers').select('id').$call(ofOrganization('org_customers')).where('name', '=', 'Alan').executeTakeFirstOrThrow();
    const order = await tx.insertInto('org_orders')
      .values({ id: newId(), organization_id: organization(), customer_id: alan.id, status: 'placed', note: 'new', total_cents: 300 })
      .returningAll().executeTakeFirstOrThrow();
    await tx.insertInto('org_order_items').values(['left', 'right'].map((label) => (
      { id: newId(), organization_id: organization(), order_id: order.id, product_id: id('1a3'), label, quantity: 1 }))).execute();
    await tx.updateTable('org_products').set((eb) => ({ stock: eb('stock', '-', 2) })).$call(ofOrganization('org_products')).where('id', '=', id('1a3')).execute();
    const items = await tx.selectFrom('org_order_items').select('id').$call(ofOrganization('org_order_items')).where('order_id', '=', order.id).execute();
    return [order.status, items.length];
  }),
  rollback: async () => {
    const lost = tag(fresh('lost'));
    const undo = new Error('undo');
    await db.transaction().execute(async (tx) => {
      await tx.insertInto('org_tags').values(lost).execute();
      throw undo;
    }).catch((error) => {
      if (error !== undo) throw error;
    });
    return countTags(db, lost.name);
  },
  savepoint: async () => {
    const tx = await db.startTransaction().execute();
    try {
      const [kept, lost] = [tag(fresh('kept')), tag(fresh('lost'))];
      await tx.insertInto('org_tags').values(kept).execute();
      const before = await tx.savepoint('before').execute();
      await before.insertInto('org_tags').values(lost).execute();
      await before.rollbackToSavepoint('before').execute();
      const result = [await countTags(tx, kept.name), await countTags(tx, lost.name)];
      await tx.commit().execute();
      return result;
    } catch (error) {
      await tx.rollback().execute();
      throw error;
    }
  },
  server_error: () => violated(db.insertInto('org_tags').values({ ...tag('twin'), id: id('4a1') }).execute()),
};

await run({
  versions: [`Kysely ${versionOf('kysely')}`, `node-postgres ${versionOf('pg')}`],
  steps: { ...reads, ...writes },
  pid: async () => (await sql`select pg_backend_pid() as pid`.execute(db)).rows[0].pid,
});
await db.destroy();
