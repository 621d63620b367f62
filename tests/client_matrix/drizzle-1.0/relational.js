// Relations of Drizzle 1.0, and queries over them.
import { defineRelations } from 'drizzle-orm';

import { ACME, filter, filterLive, id } from './harness.js';
import * as schema from './schema.js';

/** What `drizzle()` is given beside the client. */
export const config = {
  relations: defineRelations(schema, (r) => ({
    organizations: {
      plan: r.one.plans({ from: r.organizations.planId, to: r.plans.id }),
      products: r.many.products({ from: r.organizations.id, to: r.products.organizationId }),
    },
    customers: { orders: r.many.orders({ from: r.customers.id, to: r.orders.customerId }) },
    orders: {
      customer: r.one.customers({ from: r.orders.customerId, to: r.customers.id }),
      items: r.many.items({ from: r.orders.id, to: r.items.orderId }),
    },
    items: { order: r.one.orders({ from: r.items.orderId, to: r.orders.id }) },
  })),
};

/** Rows of the organization that are not soft-deleted, as a relational query says it. */
const ofOrganization = () => {
  const { organization, live } = filter();
  return { ...(organization && { organizationId: organization }), ...(live && { deletedAt: { isNull: true } }) };
};

export const relational = (db) => ({
  relation_many: async () => (await db.query.orders.findMany({
    columns: { note: true }, where: { ...ofOrganization(), customerId: id('a1') }, orderBy: { note: 'asc' },
    with: { items: { columns: { label: true }, where: ofOrganization(), orderBy: { label: 'asc' } } },
  })).map((order) => [order.note, order.items.map((item) => item.label)]),
  relation_nested: async () => {
    const alan = await db.query.customers.findFirst({
      columns: { name: true }, where: { ...ofOrganization(), id: id('a2') },
      with: { orders: { columns: { note: true }, where: ofOrganization(), with: { items: { columns: { label: true }, where: ofOrganization() } } } },
    });
    return [alan.name, alan.orders.map((order) => [order.note, order.items.map((item) => item.label)])];
  },
  relation_one: async () => (await db.query.items.findMany({
    columns: { label: true }, where: { ...ofOrganization(), orderId: id('2a1') }, orderBy: { label: 'asc' },
    with: { order: { columns: { note: true }, where: ofOrganization(), with: { customer: { columns: { name: true }, where: ofOrganization() } } } },
  })).map((item) => [item.label, item.order.note, item.order.customer.name]),
  relation_filter: async () => (await db.query.customers.findMany({
    columns: { name: true }, where: { ...ofOrganization(), orders: { ...ofOrganization(), status: 'shipped' } }, orderBy: { name: 'asc' },
  })).map((customer) => customer.name),
  relation_shared: async () => {
    const acme = await db.query.organizations.findFirst({
      columns: { name: true }, where: { id: ACME },
      with: { plan: { columns: { code: true } }, products: { columns: { name: true }, where: filterLive() ? { deletedAt: { isNull: true } } : {}, orderBy: { name: 'asc' } } },
    });
    return [acme.name, acme.plan.code, acme.products.map((product) => product.name)];
  },
});
