// Relations of Drizzle 0.45, and queries over them.
import { and, asc, eq, relations } from 'drizzle-orm';

import { notDeleted, withOrgFilter } from './filters.js';
import { ACME, id } from './harness.js';
import * as schema from './schema.js';

const { customers, items, orders, organizations, plans, products } = schema;

const organizationsRelations = relations(organizations, ({ one, many }) => ({
  plan: one(plans, { fields: [organizations.planId], references: [plans.id] }),
  products: many(products),
}));
const productsRelations = relations(products, ({ one }) => ({
  organization: one(organizations, { fields: [products.organizationId], references: [organizations.id] }),
}));
const customersRelations = relations(customers, ({ many }) => ({ orders: many(orders) }));
const ordersRelations = relations(orders, ({ one, many }) => ({
  customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
  items: many(items),
}));
const itemsRelations = relations(items, ({ one }) => ({
  order: one(orders, { fields: [items.orderId], references: [orders.id] }),
}));

/** What `drizzle()` is given beside the client. */
export const config = {
  schema: { ...schema, organizationsRelations, productsRelations, customersRelations, ordersRelations, itemsRelations },
};

export const relational = (db) => ({
  relation_many: async () => (await db.query.orders.findMany({
    columns: { note: true }, where: and(withOrgFilter(orders), eq(orders.customerId, id('a1'))), orderBy: [asc(orders.note)],
    with: { items: { columns: { label: true }, where: withOrgFilter(items), orderBy: [asc(items.label)] } },
  })).map((order) => [order.note, order.items.map((item) => item.label)]),
  relation_nested: async () => {
    const alan = await db.query.customers.findFirst({
      columns: { name: true }, where: and(withOrgFilter(customers), eq(customers.id, id('a2'))),
      with: { orders: {
        columns: { note: true }, where: withOrgFilter(orders),
        with: { items: { columns: { label: true }, where: withOrgFilter(items) } },
      } },
    });
    return [alan.name, alan.orders.map((order) => [order.note, order.items.map((item) => item.label)])];
  },
  relation_shared: async () => {
    const acme = await db.query.organizations.findFirst({
      columns: { name: true }, where: eq(organizations.id, ACME),
      with: { plan: { columns: { code: true } }, products: { columns: { name: true }, where: notDeleted(products), orderBy: [asc(products.name)] } },
    });
    return [acme.name, acme.plan.code, acme.products.map((product) => product.name)];
  },
});
