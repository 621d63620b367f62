// Queries of an application that keeps its filter: each must succeed, through the guard as without
// it, and give exactly these rows.
import {
  and, asc, count, desc, eq, exists, gt, ilike, inArray, isNull, not, notExists, sql, sum,
} from 'drizzle-orm';
import { alias, union } from 'drizzle-orm/pg-core';

import { changed, rowsOf } from './drivers.js';
import {
  orgCustomers, orgMembers, orgOrderItems, orgOrders, orgProducts, orgProductTags, orgTags, organizations, plans,
} from './schema.js';
import { ACME, BOLT, id, withOrgFilter } from './tenant.js';
import { undone } from './undone.js';

const names = (rows) => rows.map((row) => row.name);
const product = { id: orgProducts.id, name: orgProducts.name };
const ofAcme = (table) => withOrgFilter(table, ACME);
const newProduct = (sku, name, more = {}) => ({
  id: crypto.randomUUID(), organizationId: ACME, sku, name, priceCents: 100, ...more,
});

const reads = [
  {
    name: 'select with eq and isNull',
    run: async ({ db }) => names(await db.select(product).from(orgProducts)
      .where(and(eq(orgProducts.organizationId, ACME), isNull(orgProducts.deletedAt))).orderBy(asc(orgProducts.sku))),
    expected: ['Anvil', 'Bellows', 'Chisel'],
  },
  {
    name: 'every column through withOrgFilter',
    run: async ({ db }) => (await db.select().from(orgProducts).where(and(ofAcme(orgProducts), eq(orgProducts.sku, 'ANVIL'))))
      .map(({ name, priceCents, attributes, deletedAt }) => ({ name, priceCents, attributes, deletedAt })),
    expected: [{ name: 'Anvil', priceCents: 9900, attributes: { kilos: 50 }, deletedAt: null }],
  },
  {
    name: 'inArray on the primary key beside the filter',
    run: async ({ db }) => names(await db.select(product).from(orgProducts)
      .where(and(ofAcme(orgProducts), inArray(orgProducts.id, [id('1a1'), id('1b1'), id('1a3')]))).orderBy(orgProducts.name)),
    expected: ['Anvil', 'Chisel'],
  },
  {
    name: 'search with ilike, or() inside the filter',
    run: async ({ db }) => names(await db.select(product).from(orgProducts)
      .where(and(ofAcme(orgProducts), sql`(${ilike(orgProducts.name, '%e%')} or ${gt(orgProducts.stock, 1)})`))
      .orderBy(orgProducts.name)),
    expected: ['Anvil', 'Bellows', 'Chisel'],
  },
  {
    name: 'not() over a column of the row',
    run: async ({ db }) => names(await db.select(product).from(orgProducts)
      .where(and(ofAcme(orgProducts), not(eq(orgProducts.stock, 0)))).orderBy(orgProducts.name)),
    expected: ['Anvil', 'Chisel'],
  },
  {
    name: 'inner join, both sides filtered in where',
    run: ({ db }) => db.select({ note: orgOrders.note, customer: orgCustomers.name }).from(orgOrders)
      .innerJoin(orgCustomers, eq(orgOrders.customerId, orgCustomers.id))
      .where(and(ofAcme(orgOrders), ofAcme(orgCustomers))).orderBy(orgOrders.note),
    expected: [
      { note: 'first', customer: 'Ada' }, { note: 'second', customer: 'Ada' }, { note: 'third', customer: 'Alan' },
    ],
  },
  {
    name: 'left join, nullable side filtered in on',
    run: ({ db }) => db.select({ note: orgOrders.note, customer: orgCustomers.name }).from(orgOrders)
      .leftJoin(orgCustomers, and(eq(orgOrders.customerId, orgCustomers.id), ofAcme(orgCustomers)))
      .where(and(ofAcme(orgOrders), eq(orgOrders.status, 'shipped'))).orderBy(orgOrders.note),
    expected: [{ note: 'fourth', customer: null }, { note: 'third', customer: 'Alan' }],
  },
  {
    name: 'organization carried through the join equality',
    run: ({ db }) => db.select({ label: orgOrderItems.label }).from(orgOrders)
      .innerJoin(orgOrderItems, and(
        eq(orgOrderItems.organizationId, orgOrders.organizationId),
        eq(orgOrderItems.orderId, orgOrders.id),
        isNull(orgOrderItems.deletedAt),
      ))
      .where(and(ofAcme(orgOrders), eq(orgOrders.note, 'third'))),
    expected: [{ label: 'two bellows' }],
  },
  {
    name: 'three tables, group by, having, sum',
    run: ({ db }) => db.select({ name: orgProducts.name, sold: sum(orgOrderItems.quantity).mapWith(Number) }).from(orgOrderItems)
      .innerJoin(orgOrders, and(eq(orgOrderItems.orderId, orgOrders.id), ofAcme(orgOrders)))
      .innerJoin(orgProducts, and(eq(orgOrderItems.productId, orgProducts.id), ofAcme(orgProducts)))
      .where(ofAcme(orgOrderItems)).groupBy(orgProducts.id, orgProducts.name)
      .having(gt(sum(orgOrderItems.quantity), 1)),
    expected: [{ name: 'Bellows', sold: 2 }],
  },
  {
    name: 'self join with alias()',
    run: ({ db }) => {
      const cheaper = alias(orgProducts, 'cheaper');
      return db.select({ name: orgProducts.name, cheaper: cheaper.name }).from(orgProducts)
        .innerJoin(cheaper, and(ofAcme(cheaper), sql`${cheaper.priceCents} < ${orgProducts.priceCents}`))
        .where(and(ofAcme(orgProducts), eq(orgProducts.sku, 'BELLOWS')));
    },
    expected: [{ name: 'Bellows', cheaper: 'Chisel' }],
  },
  {
    name: 'lateral join to the dearest item',
    run: ({ db }) => {
      const last = db.select({ label: orgOrderItems.label }).from(orgOrderItems)
        .where(and(ofAcme(orgOrderItems), eq(orgOrderItems.orderId, orgOrders.id)))
        .orderBy(orgOrderItems.label).limit(1).as('last');
      return db.select({ note: orgOrders.note, label: last.label }).from(orgOrders).leftJoinLateral(last, sql`true`)
        .where(and(ofAcme(orgOrders), eq(orgOrders.status, 'shipped'))).orderBy(orgOrders.note);
    },
    expected: [{ note: 'fourth', label: null }, { note: 'third', label: 'two bellows' }],
  },
  {
    name: 'count() and $count()',
    run: async ({ db }) => [
      (await db.select({ total: count() }).from(orgOrders).where(ofAcme(orgOrders)))[0].total,
      await db.$count(orgOrders, ofAcme(orgOrders)),
    ],
    expected: [4, 4],
  },
  {
    name: '$count() as a column of another query',
    run: ({ db }) => db.select({ name: organizations.name, products: db.$count(orgProducts, ofAcme(orgProducts)) })
      .from(organizations).where(eq(organizations.id, ACME)),
    expected: [{ name: 'Acme', products: 3 }],
  },
  {
    name: 'pagination with limit and offset',
    run: async ({ db }) => names(await db.select(product).from(orgProducts).where(ofAcme(orgProducts))
      .orderBy(desc(orgProducts.priceCents)).limit(2).offset(1)),
    expected: ['Bellows', 'Chisel'],
  },
  {
    name: 'pagination with a cursor on (price, id)',
    run: async ({ db }) => names(await db.select(product).from(orgProducts)
      .where(and(ofAcme(orgProducts), sql`(${orgProducts.priceCents}, ${orgProducts.id}) < (${4500}, ${id('1a2')})`))
      .orderBy(desc(orgProducts.priceCents), desc(orgProducts.id)).limit(10)),
    expected: ['Chisel'],
  },
  {
    name: 'exists, subquery filtered',
    run: async ({ db }) => names(await db.select(product).from(orgProducts).where(and(ofAcme(orgProducts), exists(
      db.select({ one: sql`1` }).from(orgOrderItems)
        .where(and(ofAcme(orgOrderItems), eq(orgOrderItems.productId, orgProducts.id))),
    ))).orderBy(orgProducts.name)),
    expected: ['Anvil', 'Bellows', 'Chisel'],
  },
  {
    name: 'notExists, subquery bound by the outer row',
    run: async ({ db }) => names(await db.select({ name: orgCustomers.name }).from(orgCustomers)
      .where(and(ofAcme(orgCustomers), notExists(
        db.select({ one: sql`1` }).from(orgOrders).where(and(
          eq(orgOrders.organizationId, orgCustomers.organizationId), eq(orgOrders.customerId, orgCustomers.id),
          isNull(orgOrders.deletedAt), eq(orgOrders.status, 'draft'),
        )),
      )))),
    expected: ['Alan'],
  },
  {
    name: 'inArray of a filtered subquery',
    run: async ({ db }) => names(await db.select(product).from(orgProducts).where(and(ofAcme(orgProducts), inArray(
      orgProducts.id,
      db.select({ id: orgOrderItems.productId }).from(orgOrderItems)
        .where(and(ofAcme(orgOrderItems), eq(orgOrderItems.orderId, id('2a1')))),
    ))).orderBy(orgProducts.name)),
    expected: ['Anvil', 'Chisel'],
  },
  {
    name: 'derived table with a group by inside',
    run: ({ db }) => {
      const spent = db.select({ customerId: orgOrders.customerId, total: sum(orgOrders.totalCents).mapWith(Number).as('total') })
        .from(orgOrders).where(ofAcme(orgOrders)).groupBy(orgOrders.customerId).as('spent');
      return db.select({ name: orgCustomers.name, total: spent.total }).from(orgCustomers)
        .innerJoin(spent, eq(spent.customerId, orgCustomers.id)).where(ofAcme(orgCustomers)).orderBy(orgCustomers.name);
    },
    expected: [{ name: 'Ada', total: 12300 }, { name: 'Alan', total: 4500 }],
  },
  {
    name: 'two common table expressions',
    run: ({ db }) => {
      const open = db.$with('open').as(db.select({ id: orgOrders.id, note: orgOrders.note }).from(orgOrders)
        .where(and(ofAcme(orgOrders), inArray(orgOrders.status, ['draft', 'placed']))));
      const items = db.$with('items').as(db.select({ orderId: orgOrderItems.orderId, label: orgOrderItems.label })
        .from(orgOrderItems).where(ofAcme(orgOrderItems)));
      return db.with(open, items).select({ note: open.note, label: items.label }).from(open)
        .innerJoin(items, eq(items.orderId, open.id)).orderBy(items.label);
    },
    expected: [
      { note: 'second', label: 'a drill of another shop' }, { note: 'first', label: 'one anvil' },
      { note: 'first', label: 'one chisel' },
    ],
  },
  {
    name: 'union of two filtered arms',
    run: async ({ db }) => names(await union(
      db.select({ name: orgProducts.name }).from(orgProducts).where(ofAcme(orgProducts)),
      db.select({ name: orgCustomers.name }).from(orgCustomers).where(ofAcme(orgCustomers)),
    ).orderBy(sql`name`)),
    expected: ['Ada', 'Alan', 'Anvil', 'Bellows', 'Chisel'],
  },
  {
    name: 'selectDistinct and selectDistinctOn',
    run: async ({ db }) => [
      (await db.selectDistinct({ status: orgOrders.status }).from(orgOrders).where(ofAcme(orgOrders)).orderBy(orgOrders.status))
        .map((row) => row.status),
      (await db.selectDistinctOn([orgOrders.status], { note: orgOrders.note }).from(orgOrders).where(ofAcme(orgOrders))
        .orderBy(orgOrders.status, orgOrders.note)).map((row) => row.note),
    ],
    expected: [['draft', 'placed', 'shipped'], ['second', 'first', 'fourth']],
  },
  {
    name: 'window function in the select list',
    run: ({ db }) => db.select({
      name: orgProducts.name,
      place: sql`row_number() over (order by ${orgProducts.priceCents} desc)`.mapWith(Number),
    }).from(orgProducts).where(ofAcme(orgProducts)).orderBy(orgProducts.name),
    expected: [{ name: 'Anvil', place: 1 }, { name: 'Bellows', place: 2 }, { name: 'Chisel', place: 3 }],
  },
  {
    name: 'junction table without deleted_at',
    run: ({ db }) => db.select({ product: orgProducts.name, tag: orgTags.name }).from(orgProductTags)
      .innerJoin(orgProducts, and(eq(orgProductTags.productId, orgProducts.id), ofAcme(orgProducts)))
      .innerJoin(orgTags, and(eq(orgProductTags.tagId, orgTags.id), ofAcme(orgTags)))
      .where(eq(orgProductTags.organizationId, ACME)),
    expected: [{ product: 'Anvil', tag: 'heavy' }],
  },
  {
    name: 'organization switcher: members bound by the user',
    run: ({ db }) => db.select({ organization: organizations.name, role: orgMembers.role }).from(orgMembers)
      .innerJoin(organizations, eq(orgMembers.organizationId, organizations.id))
      .where(and(eq(orgMembers.userId, id('11')), isNull(orgMembers.deletedAt))).orderBy(organizations.name),
    expected: [{ organization: 'Acme', role: 'owner' }, { organization: 'Bolt', role: 'guest' }],
  },
  {
    name: 'tables that are not guarded',
    run: ({ db }) => db.select({ name: organizations.name, plan: plans.code }).from(organizations)
      .innerJoin(plans, eq(organizations.planId, plans.id)).orderBy(organizations.name),
    expected: [{ name: 'Acme', plan: 'team' }, { name: 'Bolt', plan: 'free' }],
  },
];

const relational = [
  {
    name: 'findMany with where, orderBy and limit',
    run: async ({ db }) => names(await db.query.orgProducts.findMany({
      columns: { name: true }, where: ofAcme(orgProducts), orderBy: [asc(orgProducts.sku)], limit: 2,
    })),
    expected: ['Anvil', 'Bellows'],
  },
  {
    name: 'findMany with a filtered many-relation',
    run: ({ db }) => db.query.orgOrders.findMany({
      columns: { note: true }, where: and(ofAcme(orgOrders), eq(orgOrders.customerId, id('a1'))), orderBy: [asc(orgOrders.note)],
      with: { items: { columns: { label: true }, where: ofAcme(orgOrderItems), orderBy: [asc(orgOrderItems.label)] } },
    }),
    expected: [
      { note: 'first', items: [{ label: 'one anvil' }, { label: 'one chisel' }] },
      { note: 'second', items: [{ label: 'a drill of another shop' }] },
    ],
  },
  {
    name: 'findFirst down two filtered relations',
    run: ({ db }) => db.query.orgCustomers.findFirst({
      columns: { name: true }, where: and(ofAcme(orgCustomers), eq(orgCustomers.id, id('a2'))),
      with: { orders: {
        columns: { note: true }, where: ofAcme(orgOrders),
        with: { items: { columns: { label: true }, where: withOrgFilter(orgOrderItems, ACME) } },
      } },
    }),
    expected: { name: 'Alan', orders: [{ note: 'third', items: [{ label: 'two bellows' }] }] },
  },
  {
    name: 'findFirst with a one-relation to a shared table',
    run: ({ db }) => db.query.orgProducts.findFirst({
      columns: { name: true }, where: and(ofAcme(orgProducts), eq(orgProducts.id, id('1a1'))),
      with: { organization: { columns: { name: true }, with: { plan: { columns: { code: true } } } } },
    }),
    expected: { name: 'Anvil', organization: { name: 'Acme', plan: { code: 'team' } } },
  },
  {
    name: 'a shared table with a filtered many-relation',
    run: ({ db }) => db.query.organizations.findFirst({
      columns: { name: true }, where: eq(organizations.id, ACME),
      with: { products: { columns: { name: true }, where: ofAcme(orgProducts), orderBy: [desc(orgProducts.name)] } },
    }),
    expected: { name: 'Acme', products: [{ name: 'Chisel' }, { name: 'Bellows' }, { name: 'Anvil' }] },
  },
  {
    name: 'findMany with a filtered subquery in extras',
    // Drizzle writes a column in extras without its table, so the outer row is named by hand.
    run: ({ db }) => db.query.orgCustomers.findMany({
      columns: { name: true }, where: ofAcme(orgCustomers), orderBy: [asc(orgCustomers.name)],
      extras: { orders: sql`(select count(*)::int from org_orders o where o.customer_id = "orgCustomers"."id"
        and o.organization_id = ${ACME} and o.deleted_at is null)`.as('orders') },
    }),
    expected: [{ name: 'Ada', orders: 2 }, { name: 'Alan', orders: 1 }],
  },
];

const writes = [
  {
    name: 'insert returning',
    run: undone((tx) => tx.insert(orgProducts).values(newProduct('NAIL', 'Nail')).returning({ name: orgProducts.name, stock: orgProducts.stock })),
    expected: [{ name: 'Nail', stock: 0 }],
  },
  {
    name: 'insert of several rows',
    run: undone(async (tx) => changed(await tx.insert(orgProducts).values([
      newProduct('NAIL', 'Nail', { attributes: { long: true } }), newProduct('NUT', 'Nut', { stock: 4 }), newProduct('PIN', 'Pin'),
    ]))),
    expected: 3,
  },
  {
    name: 'insert onConflictDoNothing',
    run: undone(async (tx) => changed(await tx.insert(orgProducts).values(newProduct('ANVIL', 'Second anvil')).onConflictDoNothing())),
    expected: 0,
  },
  {
    name: 'upsert with a guarded target',
    run: undone((tx) => tx.insert(orgProducts).values(newProduct('ANVIL', 'Better anvil')).onConflictDoUpdate({
      target: [orgProducts.organizationId, orgProducts.sku],
      set: { name: sql`excluded.name`, stock: sql`${orgProducts.stock} + 1` },
      setWhere: ofAcme(orgProducts),
    }).returning({ id: orgProducts.id, name: orgProducts.name, stock: orgProducts.stock })),
    expected: [{ id: id('1a1'), name: 'Better anvil', stock: 4 }],
  },
  {
    name: 'insert from a filtered select',
    run: undone(async (tx) => changed(await tx.execute(sql`insert into ${orgTags} (id, organization_id, name)
      select gen_random_uuid(), p.organization_id, p.name from org_products p
      where p.organization_id = ${ACME} and p.deleted_at is null`))),
    expected: 3,
  },
  {
    name: 'update returning',
    run: undone((tx) => tx.update(orgProducts).set({ stock: sql`${orgProducts.stock} - ${1}`, updatedAt: sql`now()` })
      .where(and(ofAcme(orgProducts), eq(orgProducts.id, id('1a3')))).returning({ name: orgProducts.name, stock: orgProducts.stock })),
    expected: [{ name: 'Chisel', stock: 39 }],
  },
  {
    name: 'soft delete by update',
    run: undone((tx) => tx.update(orgProducts).set({ deletedAt: sql`now()` })
      .where(and(ofAcme(orgProducts), eq(orgProducts.sku, 'CHISEL'))).returning({ name: orgProducts.name })),
    expected: [{ name: 'Chisel' }],
  },
  {
    name: 'update from another table, both filtered',
    run: undone((tx) => tx.update(orgOrderItems).set({ label: orgProducts.name }).from(orgProducts)
      .where(and(ofAcme(orgOrderItems), ofAcme(orgProducts), eq(orgOrderItems.productId, orgProducts.id), eq(orgOrderItems.quantity, 2)))
      .returning({ label: orgOrderItems.label })),
    expected: [{ label: 'Bellows' }],
  },
  {
    name: 'delete of junction rows and of filtered rows',
    run: undone(async (tx) => [
      changed(await tx.delete(orgProductTags).where(and(eq(orgProductTags.organizationId, ACME), eq(orgProductTags.productId, id('1a1'))))),
      (await tx.delete(orgTags).where(and(ofAcme(orgTags), eq(orgTags.id, id('4a1')))).returning({ name: orgTags.name }))[0].name,
    ]),
    expected: [1, 'heavy'],
  },
  {
    name: 'select for update in a transaction',
    run: undone(async (tx) => names(await tx.select(product).from(orgProducts)
      .where(and(ofAcme(orgProducts), eq(orgProducts.id, id('1a1')))).for('update'))),
    expected: ['Anvil'],
  },
  {
    name: 'data-modifying common table expression',
    run: undone((tx) => {
      const moved = tx.$with('moved').as(tx.update(orgOrders).set({ status: 'shipped' })
        .where(and(ofAcme(orgOrders), eq(orgOrders.status, 'placed'))).returning({ note: orgOrders.note }));
      return tx.with(moved).select().from(moved);
    }),
    expected: [{ note: 'first' }],
  },
];

const sessions = [
  {
    name: 'committed transaction is seen afterwards',
    run: async ({ db }) => {
      const tag = { id: crypto.randomUUID(), organizationId: ACME, name: 'committed' };
      await db.transaction(async (tx) => {
        await tx.insert(orgTags).values(tag);
        await tx.update(orgTags).set({ name: 'renamed' }).where(and(ofAcme(orgTags), eq(orgTags.id, tag.id)));
      });
      const seen = names(await db.select({ name: orgTags.name }).from(orgTags).where(and(ofAcme(orgTags), eq(orgTags.id, tag.id))));
      await db.delete(orgTags).where(and(ofAcme(orgTags), eq(orgTags.id, tag.id)));
      return seen;
    },
    expected: ['renamed'],
  },
  {
    name: 'savepoint rolled back inside a transaction',
    run: undone(async (tx) => {
      await tx.insert(orgTags).values({ id: crypto.randomUUID(), organizationId: ACME, name: 'kept' });
      await undone((inner) => inner.insert(orgTags).values({ id: crypto.randomUUID(), organizationId: ACME, name: 'lost' }))({ db: tx });
      return names(await tx.select({ name: orgTags.name }).from(orgTags).where(ofAcme(orgTags)).orderBy(orgTags.name));
    }),
    expected: ['heavy', 'kept'],
  },
  {
    name: 'an error of the server inside a savepoint',
    run: undone(async (tx) => {
      const code = await tx.transaction((inner) => inner.insert(orgTags).values({ id: id('4a1'), organizationId: ACME, name: 'twin' }))
        .then(() => 'inserted', (error) => (error.cause ?? error).code);
      return [code, names(await tx.select({ name: orgTags.name }).from(orgTags).where(ofAcme(orgTags)))];
    }),
    expected: ['23505', ['heavy']],
  },
  {
    name: 'read only transaction at repeatable read',
    run: ({ db }) => db.transaction((tx) => tx.$count(orgProducts, ofAcme(orgProducts)), {
      isolationLevel: 'repeatable read', accessMode: 'read only',
    }),
    expected: 3,
  },
  {
    name: 'prepared statement executed with several values',
    run: async ({ db }) => {
      const bySku = db.select({ name: orgProducts.name }).from(orgProducts).where(and(
        eq(orgProducts.organizationId, sql.placeholder('organization')), isNull(orgProducts.deletedAt),
        eq(orgProducts.sku, sql.placeholder('sku')),
      )).prepare('products_by_sku');
      const found = [];
      for (const sku of ['ANVIL', 'HAMMER', 'CHISEL', 'DRILL']) found.push(names(await bySku.execute({ organization: ACME, sku })));
      return found;
    },
    expected: [['Anvil'], [], ['Chisel'], []],
  },
  {
    name: 'prepared relational query',
    run: async ({ db }) => {
      const byId = db.query.orgOrders.findFirst({
        columns: { note: true },
        where: and(eq(orgOrders.organizationId, sql.placeholder('organization')), isNull(orgOrders.deletedAt), eq(orgOrders.id, sql.placeholder('id'))),
      }).prepare('order_by_id');
      return [await byId.execute({ organization: ACME, id: id('2a1') }), await byId.execute({ organization: ACME, id: id('2b1') }) ?? null];
    },
    expected: [{ note: 'first' }, null],
  },
  {
    name: 'organization by set_config($1) in a transaction',
    run: async ({ another }) => {
      const without = await another({ tenant: null });
      try {
        return await without.db.transaction(async (tx) => {
          await tx.execute(sql`select set_config('app.organization_id', ${BOLT}, true)`);
          return names(await tx.select(product).from(orgProducts).where(withOrgFilter(orgProducts, BOLT)).orderBy(orgProducts.name));
        });
      } finally {
        await without.end();
      }
    },
    expected: ['Foreign drill', 'Foreign saw'],
  },
  {
    name: 'organization by SET LOCAL, two transactions on one connection',
    run: async ({ another }) => {
      const without = await another({ tenant: null });
      try {
        const seen = [];
        for (const organization of [ACME, BOLT]) {
          seen.push(await without.db.transaction(async (tx) => {
            await tx.execute(sql.raw(`set local app.organization_id = '${organization}'`));
            return tx.$count(orgProducts, withOrgFilter(orgProducts, organization));
          }));
        }
        return seen;
      } finally {
        await without.end();
      }
    },
    expected: [3, 2],
  },
];

const raw = [
  {
    name: 'sql template with parameters and a cast to the enum',
    run: async ({ db }) => rowsOf(await db.execute(sql`select o.note from org_orders o
      where o.organization_id = ${ACME} and o.deleted_at is null and o.status = ${'placed'}::org_order_status`)),
    expected: [{ note: 'first' }],
  },
  {
    name: 'literals in a simple query, comments and non-ASCII text',
    run: ({ raw: query }) => query(`/* route: GET /products */ select 'Preis für 🧊' as label, p.name -- org_products
      from public.org_products as p where p.organization_id = '${ACME}' and p.deleted_at is null and p.sku = 'ANVIL'`),
    expected: [{ label: 'Preis für 🧊', name: 'Anvil' }],
  },
  {
    name: 'current_setting() of the tenant setting',
    run: ({ raw: query }) => query(`select name from org_customers
      where organization_id = current_setting('app.organization_id')::uuid and deleted_at is null order by name`),
    expected: [{ name: 'Ada' }, { name: 'Alan' }],
  },
  {
    name: 'row comparison (organization_id, id) = ($1, $2)',
    run: ({ raw: query }) => query(
      'select name from org_products where (organization_id, id) = ($1, $2) and deleted_at is null', [ACME, id('1a2')],
    ),
    expected: [{ name: 'Bellows' }],
  },
  {
    name: '= any($1) on the primary key',
    run: ({ raw: query }) => query(
      'select name from org_products where organization_id = $1 and deleted_at is null and id = any($2::uuid[]) order by name',
      [ACME, [id('1a1'), id('1b1')]],
    ),
    expected: [{ name: 'Anvil' }],
  },
  {
    name: 'several statements in one simple query',
    run: ({ raw: query }) => query(`select 1 as one; set statement_timeout = '30s';
      select name from org_tags where organization_id = '${ACME}' and deleted_at is null;`),
    expected: [{ name: 'heavy' }],
  },
  {
    name: 'server cursor read in batches',
    run: async ({ stream }) => {
      const batches = [];
      for await (const rows of stream(
        'select name from org_products where organization_id = $1 and deleted_at is null order by name', [ACME], 2,
      )) batches.push(names(rows));
      return batches;
    },
    expected: [['Anvil', 'Bellows'], ['Chisel']],
  },
  {
    name: 'stream left after the first batch',
    run: async ({ stream, raw: query }) => {
      let first;
      for await (const rows of stream(
        'select name from org_products where organization_id = $1 and deleted_at is null order by name', [ACME], 1,
      )) {
        first = names(rows);
        break;
      }
      return [first, await query('select 1 as one')];
    },
    expected: [['Anvil'], [{ one: 1 }]],
  },
  {
    name: 'LISTEN and NOTIFY on a channel called like a table',
    run: async ({ raw: query }) => {
      for (const text of ['listen org_orders', "notify org_orders, 'x'", 'unlisten org_orders']) await query(text);
      return 'done';
    },
    expected: 'done',
  },
  {
    name: 'forty queries over a pool of four',
    run: async ({ another }) => {
      const pool = await another({ tenant: ACME, max: 4 });
      try {
        const counts = await Promise.all(Array.from({ length: 40 }, (_, at) => pool.db.$count(
          [orgProducts, orgCustomers, orgOrders][at % 3], ofAcme([orgProducts, orgCustomers, orgOrders][at % 3]),
        )));
        return [...new Set(counts.map((total, at) => `${at % 3}:${total}`))].sort();
      } finally {
        await pool.end();
      }
    },
    expected: ['0:3', '1:2', '2:4'],
  },
  {
    name: 'queries sent at once over one connection',
    run: async ({ raw: query }) => (await Promise.all([1, 2, 3, 4, 5, 6].map((at) => query(
      'select $2::int as at, name from org_tags where organization_id = $1 and deleted_at is null', [ACME, at],
    )))).map(([row]) => `${row.at} ${row.name}`),
    expected: ['1 heavy', '2 heavy', '3 heavy', '4 heavy', '5 heavy', '6 heavy'],
  },
];

export const honest = [...reads, ...relational, ...writes, ...sessions, ...raw];
