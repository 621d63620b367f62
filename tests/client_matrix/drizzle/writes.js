// Changes as the application's repositories make them.
import { and, eq, sql } from 'drizzle-orm';

import { rowsOf } from './drivers.js';
import { notDeleted, ofOrganization, withOrgFilter } from './filters.js';
import { filter, fresh, id, newId, organization, violated } from './harness.js';
import { customers, items, orders, products, productTags, tags } from './schema.js';

const product = (word, name) => ({ id: newId(), organizationId: organization(), sku: fresh(word), name, priceCents: 100 });
const tag = (name) => ({ id: newId(), organizationId: organization(), name });
const nameOf = { name: tags.name };
const deleted = { deletedAt: sql`now()`, updatedAt: sql`now()` };

export const writes = (db) => ({
  insert: async () => {
    const lamp = product('LAMP', 'Lamp');
    await db.insert(products).values(lamp);
    return (await db.select({ name: products.name }).from(products).where(and(withOrgFilter(products), eq(products.id, lamp.id)))).map((row) => row.name);
  },
  insert_returning: async () => (await db.insert(products).values(product('ROPE', 'Rope')).returning()).flatMap((row) => [row.name, row.stock]),
  insert_batch: async () => (await db.insert(tags).values(['red', 'green', 'blue'].map((name) => tag(fresh(name)))).returning({ id: tags.id })).length,
  upsert: async () => (await db.insert(products)
    .values({ id: newId(), organizationId: organization(), sku: 'ANVIL', name: 'Anvil', priceCents: 9900, stock: 1 })
    .onConflictDoUpdate({
      target: [products.organizationId, products.sku],
      set: { name: sql`excluded.name`, stock: sql`${products.stock} + excluded.stock` },
      setWhere: notDeleted(products),
    }).returning({ stock: products.stock }))[0].stock,
  upsert_nothing: async () => (await db.insert(products)
    .values({ id: newId(), organizationId: organization(), sku: 'ANVIL', name: 'Second anvil', priceCents: 1 })
    .onConflictDoNothing({ target: [products.organizationId, products.sku] }).returning()).length,
  update: async () => (await db.update(products).set({ stock: 39, updatedAt: sql`now()` })
    .where(and(withOrgFilter(products), eq(products.sku, 'CHISEL'))).returning({ id: products.id })).length,
  update_returning: async () => (await db.update(products).set({ priceCents: 4600 })
    .where(and(withOrgFilter(products), eq(products.id, id('1a2')))).returning()).flatMap((row) => [row.sku, row.priceCents]),
  update_from: async () => (await db.update(items).set({ label: sql`${products.name}` }).from(products)
    .where(and(withOrgFilter(items), withOrgFilter(products), eq(products.id, items.productId), eq(items.quantity, 2)))
    .returning({ label: items.label })).map((row) => row.label),
  soft_delete: async () => {
    const [{ id: gone }] = await db.insert(tags).values(tag(fresh('gone'))).returning();
    const changed = await db.update(tags).set(deleted).where(and(withOrgFilter(tags), eq(tags.id, gone))).returning({ id: tags.id });
    return [changed.length, await db.$count(tags, and(withOrgFilter(tags), eq(tags.id, gone)))];
  },
  delete_junction: async () => {
    const link = { organizationId: organization(), productId: id('1a3'), tagId: id('4a1') };
    await db.insert(productTags).values(link).onConflictDoNothing();
    return (await db.delete(productTags).where(and(ofOrganization(productTags), eq(productTags.productId, link.productId)))
      .returning({ tag: productTags.tagId })).length;
  },
  insert_select: async () => {
    const { organization: of, live } = filter();
    return rowsOf(await db.execute(sql`insert into org_tags (id, organization_id, name)
      select ${newId()}::uuid, ${organization()}::uuid, p.name from org_products p
      where ${of ? sql`p.organization_id = ${of}` : sql`true`} and ${live ? sql`p.deleted_at is null` : sql`true`} and p.sku = ${'ANVIL'}
      returning id`)).length;
  },
  modifying_cte: async () => {
    const moved = db.$with('moved').as(db.update(orders).set({ status: 'shipped' })
      .where(and(withOrgFilter(orders), eq(orders.note, 'first'))).returning({ note: orders.note }));
    return (await db.with(moved).select().from(moved)).map((row) => row.note);
  },
  transaction: () => db.transaction(async (tx) => {
    const [alan] = await tx.select({ id: customers.id }).from(customers).where(and(withOrgFilter(customers), eq(customers.name, 'Alan')));
    const [order] = await tx.insert(orders)
      .values({ id: newId(), organizationId: organization(), customerId: alan.id, status: 'placed', note: 'new', totalCents: 300 }).returning();
    await tx.insert(items).values(['left', 'right'].map((label) => (
      { id: newId(), organizationId: organization(), orderId: order.id, productId: id('1a3'), label, quantity: 1 })));
    await tx.update(products).set({ stock: sql`${products.stock} - 2` }).where(and(withOrgFilter(products), eq(products.id, id('1a3'))));
    return [order.status, await tx.$count(items, and(withOrgFilter(items), eq(items.orderId, order.id)))];
  }),
  rollback: async () => {
    const lost = tag(fresh('lost'));
    const undo = new Error('undo');
    await db.transaction(async (tx) => {
      await tx.insert(tags).values(lost);
      throw undo;
    }).catch((error) => {
      if (error !== undo) throw error;
    });
    return db.$count(tags, and(withOrgFilter(tags), eq(tags.id, lost.id)));
  },
  savepoint: () => db.transaction(async (tx) => {
    const [kept, lost] = [tag(fresh('kept')), tag(fresh('lost'))];
    const undo = new Error('undo');
    await tx.insert(tags).values(kept);
    await tx.transaction(async (inner) => {
      await inner.insert(tags).values(lost);
      throw undo;
    }).catch((error) => {
      if (error !== undo) throw error;
    });
    const one = (name) => tx.select(nameOf).from(tags).where(and(withOrgFilter(tags), eq(tags.name, name)));
    return [(await one(kept.name)).length, (await one(lost.name)).length];
  }),
  server_error: () => violated(db.insert(tags).values({ ...tag('twin'), id: id('4a1') })),
});
