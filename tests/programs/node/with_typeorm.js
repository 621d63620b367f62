// A TypeORM program whose entities know neither organization nor soft delete.
import { Between, DataSource, EntitySchema, ILike, In, IsNull, LessThan, MoreThan, Not } from 'typeorm';

import { foreign, fresh, own, run, tenant, url } from './steps.js';

const id = { type: 'uuid', primary: true };
const text = { type: 'text' };
const int = { type: 'int' };

const Customer = new EntitySchema({
  name: 'Customer', tableName: 'org_customers', columns: { id, name: text, email: text },
  relations: { orders: { type: 'one-to-many', target: 'Order', inverseSide: 'customer', cascade: true } },
});
const Product = new EntitySchema({
  name: 'Product', tableName: 'org_products',
  columns: { id, sku: text, name: text, priceCents: { ...int, name: 'price_cents' }, stock: { ...int, default: 0 }, attributes: { type: 'jsonb', default: {} } },
  relations: {
    items: { type: 'one-to-many', target: 'Item', inverseSide: 'product' },
    tags: { type: 'many-to-many', target: 'Tag', joinTable: { name: 'org_product_tags', joinColumn: { name: 'product_id' }, inverseJoinColumn: { name: 'tag_id' } } },
  },
});
const Order = new EntitySchema({
  name: 'Order', tableName: 'org_orders', columns: { id, note: text, totalCents: { ...int, name: 'total_cents' } },
  relations: {
    customer: { type: 'many-to-one', target: 'Customer', joinColumn: { name: 'customer_id' }, inverseSide: 'orders' },
    items: { type: 'one-to-many', target: 'Item', inverseSide: 'order', cascade: true },
  },
});
const Item = new EntitySchema({
  name: 'Item', tableName: 'org_order_items', columns: { id, label: text, quantity: int },
  relations: {
    order: { type: 'many-to-one', target: 'Order', joinColumn: { name: 'order_id' }, inverseSide: 'items' },
    product: { type: 'many-to-one', target: 'Product', joinColumn: { name: 'product_id' }, inverseSide: 'items' },
  },
});
const Tag = new EntitySchema({ name: 'Tag', tableName: 'org_tags', columns: { id, name: text } });

const source = new DataSource({
  type: 'postgres', url, entities: [Customer, Product, Order, Item, Tag], extra: { options: `-c app.organization_id=${tenant}`, max: 2 },
});
await source.initialize();
const of = (name) => source.getRepository(name);
const [customers, products, orders, items, tags] = ['Customer', 'Product', 'Order', 'Item', 'Tag'].map(of);
const labels = async () => (await items.find({ order: { label: 'ASC' } })).map((item) => item.label);

await run({
  find: () => products.find({ order: { sku: 'ASC' } }),
  findOneBy: async () => [await products.findOneBy({ id: own(1, 1) }), await products.findOneBy({ id: foreign(1, 1) })],
  findOneByOrFail: () => products.findOneByOrFail({ id: foreign(1, 1) }),
  operators: () => products.find({ select: { sku: true }, where: [{ stock: LessThan(3) }, { priceCents: Between(1, 2000) }, { id: In([foreign(1, 1)]) }, { name: ILike('%vil%') }], order: { sku: 'ASC' } }),
  findAndCount: () => products.findAndCount({ select: { sku: true }, order: { sku: 'ASC' }, take: 2, skip: 1 }),

  insert: async () => (await products.insert({ id: fresh(1), sku: 'LAMP', name: 'Lamp', priceCents: 700 })).identifiers,
  insertMany: async () => (await products.insert([0, 1, 2].map((at) => ({ id: fresh(10 + at), sku: `BOX${at}`, name: `Box ${at}`, priceCents: at })))).identifiers,
  // save() looks for the row by its key, then inserts or updates.
  saveNew: () => tags.save({ id: fresh(2), name: 'bright' }),
  saveAgain: () => tags.save({ id: fresh(2), name: 'brighter' }),
  saveOverForeign: () => tags.save({ id: foreign(4, 1), name: 'mine now' }),
  saveCascade: async () => {
    const nora = await customers.save({ id: fresh(20), name: 'Nora', email: 'new@example.test', orders: [{
      id: fresh(21), note: 'for Nora', totalCents: 1400, items: [
        { id: fresh(22), label: 'two lamps', quantity: 2, product: { id: fresh(1) } },
        { id: fresh(23), label: 'one lamp', quantity: 1, product: { id: fresh(1) } }] }] });
    return nora.orders[0].items.length;
  },
  saveManyToMany: async () => {
    const lamp = await products.findOne({ where: { sku: 'LAMP' }, relations: { tags: true } });
    lamp.tags.push(await tags.findOneBy({ name: 'brighter' }), await tags.findOneBy({ name: 'heavy' }));
    await products.save(lamp);
    lamp.tags.pop();
    await products.save(lamp);
    return (await products.findOne({ where: { sku: 'LAMP' }, relations: { tags: true } })).tags;
  },
  update: async () => [(await products.update({ sku: 'LAMP' }, { stock: 5 })).affected, (await products.update(foreign(1, 1), { stock: 0 })).affected],
  increment: async () => [(await products.increment({ sku: 'LAMP' }, 'stock', 2)).affected, (await products.findOneBy({ sku: 'LAMP' })).stock],
  updateBuilder: async () => (await source.createQueryBuilder().update('Product').set({ stock: () => 'stock + 1' }).where('stock > :least', { least: 2 }).returning(['sku', 'stock']).execute()).raw.map((row) => [row.sku, row.stock]).sort(),
  upsert: async () => {
    await tags.upsert([{ id: fresh(2), name: 'brightest' }, { id: fresh(3), name: 'dim' }], ['id']);
    return (await tags.find({ order: { name: 'ASC' } })).map((tag) => tag.name);
  },

  relations: () => orders.find({ relations: { customer: true }, order: { note: 'ASC' } }),
  nested: () => customers.find({ relations: { orders: { items: { product: true } } }, order: { name: 'ASC', orders: { note: 'ASC', items: { label: 'ASC' } } } }),
  // With take, the keys are asked for first, and the rows by those keys.
  paged: () => customers.find({ relations: { orders: true }, order: { name: 'ASC', orders: { note: 'ASC' } }, take: 2 }),
  whereRelation: () => orders.find({ where: { customer: { name: 'Ada' } }, order: { note: 'ASC' } }),
  byQuery: () => customers.find({ relations: { orders: true }, order: { name: 'ASC', orders: { note: 'ASC' } }, relationLoadStrategy: 'query' }),
  findOneWith: () => orders.findOne({ where: { note: 'first' }, relations: { customer: true, items: true }, order: { items: { label: 'ASC' } } }),
  builder: () => source.createQueryBuilder('Order', 'o').leftJoinAndSelect('o.customer', 'c').leftJoinAndSelect('o.items', 'i', 'i.quantity > 0').orderBy('o.note').addOrderBy('i.label').getMany(),
  innerJoin: () => orders.createQueryBuilder('o').innerJoin('o.customer', 'c').select(['o.note AS note', 'c.name AS name']).orderBy('o.note').getRawMany(),
  grouped: () => customers.createQueryBuilder('c').leftJoin('c.orders', 'o').select('c.name', 'name').addSelect('COUNT(o.id)', 'orders').groupBy('c.id').orderBy('c.name').getRawMany(),
  relationCount: () => customers.createQueryBuilder('c').loadRelationCountAndMap('c.count', 'c.orders').orderBy('c.name').getMany(),
  relationIds: () => orders.find({ loadRelationIds: { relations: ['customer'] }, order: { note: 'ASC' } }),
  subquery: () => {
    const builder = products.createQueryBuilder('p');
    const sold = builder.subQuery().select('i.product_id').from('Item', 'i').getQuery();
    return builder.select('p.sku', 'sku').where(`p.id IN ${sold}`).orderBy('p.sku').getRawMany();
  },
  exists: async () => [await products.existsBy({ sku: 'LAMP' }), await products.existsBy({ sku: 'DRILL' }), await products.exists({ where: { items: { quantity: MoreThan(0) } } })],
  counts: async () => [await products.count(), await orders.countBy({ totalCents: MoreThan(1000) }), await orders.count({ where: { customer: { name: Not(IsNull()) } } })],
  math: async () => [await orders.sum('totalCents'), await orders.average('totalCents'), await products.maximum('priceCents')],
  commonTable: () => source.createQueryBuilder().addCommonTableExpression('SELECT customer_id, count(*) AS n FROM org_orders GROUP BY 1', 'busy')
    .select('c.name', 'name').addSelect('busy.n', 'n').from('Customer', 'c').innerJoin('busy', 'busy', 'busy.customer_id = c.id').orderBy('c.name').getRawMany(),
  lock: () => source.transaction((manager) => manager.getRepository('Order').find({ select: { note: true }, order: { note: 'ASC' }, lock: { mode: 'pessimistic_write' } })),
  relationBuilder: async () => {
    await source.createQueryBuilder().relation('Order', 'customer').of(fresh(21)).set(own(0, 1));
    const found = await source.createQueryBuilder().relation('Order', 'items').of(fresh(21)).loadMany();
    return [(await orders.findOne({ where: { id: fresh(21) }, relations: { customer: true } })).customer.name, found.length];
  },
  transaction: () => source.transaction(async (manager) => {
    await manager.insert('Tag', { id: fresh(30), name: 'kept' });
    await manager.transaction(async (nested) => {
      await nested.insert('Tag', { id: fresh(31), name: 'lost' });
      throw new Error('undone');
    }).catch(() => {});
    return manager.find('Tag', { where: { name: In(['kept', 'lost']) } });
  }),
  query: () => source.query('SELECT o.note, c.name FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id WHERE o.total_cents > $1 ORDER BY o.note', [0]),

  deleteForeign: async () => (await products.delete(foreign(1, 2))).affected,
  remove: async () => {
    await items.remove(await items.findBy({ order: { note: 'for Nora' } }));
    return labels();
  },
  removeOrder: async () => {
    await orders.remove(await orders.findOneBy({ note: 'for Nora' }));
    await customers.delete({ name: 'Nora' });
    return [await orders.count(), await customers.count()];
  },
  removeManyToMany: async () => {
    await products.remove(await products.findOne({ where: { sku: 'LAMP' }, relations: { tags: true } }));
    return source.query('SELECT count(*)::int AS left FROM org_product_tags');
  },
  deleteBuilder: async () => (await source.createQueryBuilder().delete().from('Product').where('sku LIKE :like', { like: 'BOX%' }).execute()).affected,
  deleteAll: async () => (await tags.delete({ name: Not('heavy') })).affected,
  whatIsLeft: async () => [await products.count(), await customers.count(), await orders.count(), await items.count(), await tags.count()],
});
await source.destroy();
