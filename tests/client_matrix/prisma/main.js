// Prisma 7 over adapter-pg.
import { createRequire } from 'node:module';

import { PrismaPg } from '@prisma/adapter-pg';

import { Prisma, PrismaClient } from './generated/index.js';
import { ACME, all, filter, filterLive, filterOrganization, fresh, id, newId, organization, run, seconds } from './harness.js';

const require = createRequire(import.meta.url);
const versionOf = (name) => require(`./node_modules/${name}/package.json`).version;

function open(tenant, max = 1) {
  const options = tenant && `-c app.organization_id=${tenant}`;
  return new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, options, max, application_name: 'shop' }) });
}

const db = open(ACME);

/** The server's error, which Prisma keeps in the error of its adapter. */
const errorOf = (error) => {
  const cause = error.meta?.driverAdapterError?.cause ?? error.cause ?? error;
  return { code: cause.originalCode ?? cause.code ?? error.code ?? error.name, message: cause.originalMessage ?? cause.message ?? error.message };
};

/** Rows of the organization that are not soft-deleted. */
const ofOrganization = () => {
  const { organization: of, live } = filter();
  return { organizationId: of, ...(live && { deletedAt: null }) };
};

/** The same in SQL, for what Prisma's own queries do not have. */
const within = (name) => {
  const { organization: of, live } = filter();
  const table = Prisma.raw(name);
  const clauses = [...(of ? [Prisma.sql`${table}.organization_id = ${of}::uuid`] : []), ...(live ? [Prisma.sql`${table}.deleted_at is null`] : [])];
  return Prisma.join(clauses, ' and ');
};

const skus = (rows) => rows.map((row) => row.sku);
const names = (rows) => rows.map((row) => row.name);
const bySku = { sku: 'asc' };
const sku = { sku: true };
const product = (word, name) => ({ id: newId(), organizationId: organization(), sku: fresh(word), name, priceCents: 100 });
const tag = (name) => ({ id: newId(), organizationId: organization(), name });
const byId = (rows) => new Map(rows.map((row) => [row.id, row]));

const reads = {
  list: async () => (await db.product.findMany({ where: ofOrganization(), orderBy: bySku })).map((row) => [row.sku, row.name]),
  by_id: async () => {
    const found = await db.product.findUnique({ where: { id: id('1a1'), ...ofOrganization() } });
    return [found.sku, found.priceCents];
  },
  by_foreign_id: () => db.product.findMany({ where: { ...ofOrganization(), id: id('1b1') } }),
  // A required relation takes no `where`: what it refers to is asked for by its own queries.
  join_three: async () => {
    const items = await db.item.findMany({ where: ofOrganization(), orderBy: { label: 'asc' } });
    const orders = byId(await db.order.findMany({ where: { ...ofOrganization(), id: { in: items.map((item) => item.orderId) } } }));
    const customers = byId(await db.customer.findMany({ where: { ...ofOrganization(), id: { in: [...orders.values()].map((order) => order.customerId) } } }));
    return items.map((item) => [item.label, orders.get(item.orderId).note, customers.get(orders.get(item.orderId).customerId).name]);
  },
  left_join: async () => {
    const orders = await db.order.findMany({ where: ofOrganization(), orderBy: { note: 'asc' } });
    const customers = byId(await db.customer.findMany({ where: { ...ofOrganization(), id: { in: orders.map((order) => order.customerId) } } }));
    return orders.map((order) => [order.note, customers.get(order.customerId)?.name ?? null]);
  },
  count: () => db.order.count({ where: ofOrganization() }),
  aggregate: async () => {
    const groups = await db.order.groupBy({
      by: ['customerId'], where: { ...ofOrganization(), customer: ofOrganization() }, _count: { _all: true }, _sum: { totalCents: true }, having: { totalCents: { _count: { gt: 0 } } },
    });
    const customers = await db.customer.findMany({ where: { ...ofOrganization(), id: { in: groups.map((group) => group.customerId) } }, orderBy: { name: 'asc' } });
    return customers.map(({ id: of, name }) => {
      const group = groups.find(({ customerId }) => customerId === of);
      return [name, group._count._all, group._sum.totalCents];
    });
  },
  scalar_subquery: async () => (await db.customer.findMany({
    where: ofOrganization(), orderBy: { name: 'asc' }, select: { name: true, _count: { select: { orders: { where: ofOrganization() } } } },
  })).map((row) => [row.name, row._count.orders]),
  derived_table: async () => (await db.$queryRaw`
    select c.name, spent.total::int as total from org_customers c
    join (select o.customer_id, sum(o.total_cents) as total from org_orders o where ${within('o')} group by o.customer_id) spent on spent.customer_id = c.id
    where ${within('c')} order by c.name`).map((row) => [row.name, row.total]),
  in_list: async () => skus(await db.product.findMany({ where: { ...ofOrganization(), id: { in: ['1a1', '1b1', '1a3'].map(id) } }, orderBy: bySku, select: sku })),
  any_array: async () => skus(await db.$queryRaw`select p.sku from org_products p where ${within('p')} and p.id = any(${['1a1', '1b1', '1a3'].map(id)}::uuid[]) order by p.sku`),
  exists: async () => skus(await db.product.findMany({ where: { ...ofOrganization(), items: { some: { ...ofOrganization(), quantity: { gt: 1 } } } }, orderBy: bySku })),
  not_exists: async () => names(await db.customer.findMany({ where: { ...ofOrganization(), orders: { none: { ...ofOrganization(), status: 'draft' } } } })),
  in_subquery: async () => skus(await db.product.findMany({ where: { ...ofOrganization(), items: { some: { ...ofOrganization(), orderId: id('2a1') } } }, orderBy: bySku })),
  cte: async () => (await db.$queryRaw`
    with waiting as (select o.id, o.note from org_orders o where ${within('o')} and o.status in ('draft', 'placed')),
         lines as (select i.order_id, i.label from org_order_items i where ${within('i')})
    select waiting.note, lines.label from waiting join lines on lines.order_id = waiting.id order by lines.label`).map((row) => [row.note, row.label]),
  union: async () => names(await db.$queryRaw`
    select p.name from org_products p where ${within('p')} union select c.name from org_customers c where ${within('c')} order by name`),
  page: async () => skus(await db.product.findMany({ where: ofOrganization(), orderBy: { priceCents: 'desc' }, take: 2, skip: 1 })),
  keyset: async () => skus(await db.product.findMany({
    where: { ...ofOrganization(), OR: [{ priceCents: { lt: 4500 } }, { priceCents: 4500, id: { lt: id('1a2') } }] },
    orderBy: [{ priceCents: 'desc' }, { id: 'desc' }], take: 10,
  })),
  window: async () => (await db.$queryRaw`
    select p.sku, (row_number() over (order by p.price_cents desc))::int as place from org_products p where ${within('p')} order by p.sku`).map((row) => [row.sku, row.place]),
  search: async () => skus(await db.product.findMany({ where: { ...ofOrganization(), OR: [{ name: { contains: 'chi', mode: 'insensitive' } }, { stock: 0 }] }, orderBy: bySku })),
  distinct: async () => (await db.order.findMany({ where: ofOrganization(), distinct: ['status'], orderBy: { status: 'asc' }, select: { status: true } })).map((row) => row.status),
  json_filter: async () => (await db.invoice.findMany({ where: { ...ofOrganization(), terms: { path: ['pay', 'days'], equals: 30 } } })).map((row) => row.number),
  json_value: async () => (await db.product.findFirst({ where: { ...ofOrganization(), sku: 'ANVIL' }, select: { attributes: true } })).attributes.kilos,
  timestamps: async () => (await db.invoice.findMany({
    where: { ...ofOrganization(), issuedAt: { gte: new Date('2026-01-15'), lt: new Date('2026-03-10') } }, orderBy: { issuedAt: 'asc' },
  })).map((row) => [row.number, seconds(row.issuedAt)]),
  numeric: async () => (await db.invoice.findMany({ where: { ...ofOrganization(), amount: { gt: '100.25' } }, orderBy: { number: 'asc' } }))
    .map((row) => [row.number, row.amount.toFixed(2)]),
  nulls: async () => (await db.invoice.findMany({ where: { ...ofOrganization(), paidAt: null }, orderBy: { number: 'asc' } })).map((row) => [row.number, row.memo]),
  text_array: async () => (await db.invoice.findMany({ where: { ...ofOrganization(), labels: { has: 'eu' } }, orderBy: { number: 'asc' } })).map((row) => [row.number, row.labels]),
  report: async () => (await db.$queryRaw`
    select extract(epoch from date_trunc('month', i.issued_at, 'UTC'))::int as month, count(*)::int as invoices,
      coalesce(sum(i.amount) filter (where i.paid_at is null), 0)::numeric(12, 2)::text as open
    from org_invoices i where ${within('i')} group by 1 order by 1`).map((row) => [row.month, row.invoices, row.open]),
  shared_table: async () => {
    const acme = await db.organization.findUnique({ where: { id: ACME }, include: { plan: true } });
    return [acme.name, acme.plan.code];
  },
  for_update: () => db.$transaction(async (tx) => skus(await tx.$queryRaw`select p.sku from org_products p where ${within('p')} and p.id = ${id('1a1')}::uuid for update`)),
  prepared: async () => {
    const where = ofOrganization();
    const found = [];
    for (let at = 0; at < 12; at += 1) found.push((await db.product.findMany({ where: { ...where, sku: at % 2 === 0 ? 'ANVIL' : 'HAMMER' } })).length);
    return found;
  },
  pool: async () => {
    const pool = open(ACME, 4);
    try {
      const models = { customers: 'customer', orders: 'order', products: 'product' };
      const counts = await all(Object.keys(models).flatMap((name) => {
        const where = ofOrganization();
        return [1, 2, 3, 4].map(async () => `${name} ${await pool[models[name]].count({ where })}`);
      }));
      return [...new Set(counts)];
    } finally {
      await pool.$disconnect();
    }
  },
  organization_in_transaction: async () => {
    const pool = open(undefined);
    try {
      return await pool.$transaction(async (tx) => {
        await tx.$executeRaw`select set_config('app.organization_id', ${ACME}, true)`;
        return skus(await tx.product.findMany({ where: ofOrganization(), orderBy: bySku }));
      });
    } finally {
      await pool.$disconnect();
    }
  },
  relation_many: async () => (await db.order.findMany({
    where: { ...ofOrganization(), customerId: id('a1') }, orderBy: { note: 'asc' },
    include: { items: { where: ofOrganization(), orderBy: { label: 'asc' } } },
  })).map((order) => [order.note, order.items.map((item) => item.label)]),
  relation_nested: async () => {
    const alan = await db.customer.findUnique({
      where: { id: id('a2'), ...ofOrganization() }, include: { orders: { where: ofOrganization(), include: { items: { where: ofOrganization() } } } },
    });
    return [alan.name, alan.orders.map((order) => [order.note, order.items.map((item) => item.label)])];
  },
  relation_filter: async () => names(await db.customer.findMany({
    where: { ...ofOrganization(), orders: { some: { ...ofOrganization(), status: 'shipped' } } }, orderBy: { name: 'asc' },
  })),
};

const countTags = (on, name) => on.tag.count({ where: { ...ofOrganization(), name } });

const writes = {
  insert: async () => {
    const lamp = await db.product.create({ data: product('LAMP', 'Lamp') });
    return names(await db.product.findMany({ where: { ...ofOrganization(), id: lamp.id } }));
  },
  insert_returning: async () => {
    const rope = await db.product.create({ data: product('ROPE', 'Rope'), select: { name: true, stock: true } });
    return [rope.name, rope.stock];
  },
  insert_batch: async () => (await db.tag.createMany({ data: ['red', 'green', 'blue'].map((name) => tag(fresh(name))) })).count,
  // upsert() takes no condition on the row that is there, which soft delete needs.
  upsert: async () => (await db.$queryRaw`
    insert into org_products (id, organization_id, sku, name, price_cents, stock) values (${newId()}::uuid, ${organization()}::uuid, 'ANVIL', 'Anvil', 9900, 1)
    on conflict (organization_id, sku) do update set name = excluded.name, stock = org_products.stock + excluded.stock
    where ${filterLive() ? Prisma.sql`org_products.deleted_at is null` : Prisma.sql`true`} returning stock`)[0].stock,
  upsert_nothing: async () => (await db.product.createMany({ data: [{ ...product('ANVIL', 'Second anvil'), sku: 'ANVIL' }], skipDuplicates: true })).count,
  update: async () => (await db.product.updateMany({ where: { ...ofOrganization(), sku: 'CHISEL' }, data: { stock: 39 } })).count,
  update_returning: async () => {
    const bellows = await db.product.update({ where: { id: id('1a2'), ...ofOrganization() }, data: { priceCents: 4600 } });
    return [bellows.sku, bellows.priceCents];
  },
  update_from: async () => (await db.$queryRaw`
    update org_order_items i set label = p.name from org_products p
    where ${within('i')} and ${within('p')} and p.id = i.product_id and i.quantity = 2 returning i.label`).map((row) => row.label),
  soft_delete: async () => {
    const gone = await db.tag.create({ data: tag(fresh('gone')) });
    const { count } = await db.tag.updateMany({ where: { ...ofOrganization(), id: gone.id }, data: { deletedAt: new Date() } });
    return [count, await countTags(db, gone.name)];
  },
  delete_junction: async () => {
    const link = { organizationId: organization(), productId: id('1a3'), tagId: id('4a1') };
    await db.productTag.createMany({ data: [link], skipDuplicates: true });
    return (await db.productTag.deleteMany({ where: { organizationId: filterOrganization(), productId: link.productId } })).count;
  },
  insert_select: () => db.$executeRaw`
    insert into org_tags (id, organization_id, name) select ${newId()}::uuid, p.organization_id, p.name from org_products p where ${within('p')} and p.sku = 'ANVIL'`,
  modifying_cte: async () => (await db.$queryRaw`
    with moved as (update org_orders o set status = 'shipped' where ${within('o')} and o.note = 'first' returning o.note) select note from moved`).map((row) => row.note),
  transaction: () => db.$transaction(async (tx) => {
    const alan = await tx.customer.findFirst({ where: { ...ofOrganization(), name: 'Alan' } });
    const order = await tx.order.create({
      data: { id: newId(), organizationId: organization(), customerId: alan.id, status: 'placed', note: 'new', totalCents: 300 },
    });
    await tx.item.createMany({ data: ['left', 'right'].map((label) => (
      { id: newId(), organizationId: organization(), orderId: order.id, productId: id('1a3'), label, quantity: 1 })) });
    await tx.product.updateMany({ where: { ...ofOrganization(), id: id('1a3') }, data: { stock: { decrement: 2 } } });
    return [order.status, await tx.item.count({ where: { ...ofOrganization(), orderId: order.id } })];
  }),
  rollback: async () => {
    const lost = tag(fresh('lost'));
    const undo = new Error('undo');
    await db.$transaction(async (tx) => {
      await tx.tag.create({ data: lost });
      throw undo;
    }).catch((error) => {
      if (error !== undo) throw error;
    });
    return countTags(db, lost.name);
  },
  savepoint: () => db.$transaction(async (tx) => {
    const [kept, lost] = [tag(fresh('kept')), tag(fresh('lost'))];
    await tx.tag.create({ data: kept });
    await tx.$executeRaw`savepoint before`;
    await tx.tag.create({ data: lost });
    await tx.$executeRaw`rollback to savepoint before`;
    return [await countTags(tx, kept.name), await countTags(tx, lost.name)];
  }),
  server_error: () => db.tag.create({ data: { ...tag('twin'), id: id('4a1') } }).then(
    () => 'none',
    (error) => {
      if (errorOf(error).code !== '23505') throw error;
      return '23505';
    },
  ),
};

await run({
  versions: [`Prisma ${Prisma.prismaVersion.client}`, `adapter-pg ${versionOf('@prisma/adapter-pg')}, node-postgres ${versionOf('pg')}`],
  steps: { ...reads, ...writes },
  errorOf,
});
await db.$disconnect();
