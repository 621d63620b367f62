// The shop's tables with what a program needs that serves one organization a session: the column
// of the organization is there for the unique keys, and the database fills it.
import { relations, sql } from 'drizzle-orm';
import { integer, jsonb, pgEnum, pgTable, primaryKey, text, unique, uuid } from 'drizzle-orm/pg-core';

const base = () => ({
  id: uuid('id').primaryKey(),
  organizationId: uuid('organization_id').notNull().default(sql`current_setting('app.organization_id')::uuid`),
});

export const orderStatus = pgEnum('org_order_status', ['draft', 'placed', 'shipped']);

export const customers = pgTable('org_customers', { ...base(), name: text('name').notNull(), email: text('email').notNull() },
  (table) => [unique().on(table.organizationId, table.email)]);

export const products = pgTable('org_products', {
  ...base(),
  sku: text('sku').notNull(),
  name: text('name').notNull(),
  priceCents: integer('price_cents').notNull(),
  stock: integer('stock').notNull().default(0),
  attributes: jsonb('attributes').notNull().default({}),
}, (table) => [unique().on(table.organizationId, table.sku)]);

export const orders = pgTable('org_orders', {
  ...base(),
  customerId: uuid('customer_id').notNull().references(() => customers.id),
  status: orderStatus('status').notNull().default('draft'),
  note: text('note').notNull(),
  totalCents: integer('total_cents').notNull(),
});

export const items = pgTable('org_order_items', {
  ...base(),
  orderId: uuid('order_id').notNull().references(() => orders.id),
  productId: uuid('product_id').notNull().references(() => products.id),
  label: text('label').notNull(),
  quantity: integer('quantity').notNull(),
});

export const tags = pgTable('org_tags', { ...base(), name: text('name').notNull() });

export const productTags = pgTable('org_product_tags', {
  organizationId: uuid('organization_id').notNull().default(sql`current_setting('app.organization_id')::uuid`),
  productId: uuid('product_id').notNull().references(() => products.id),
  tagId: uuid('tag_id').notNull().references(() => tags.id),
}, (table) => [primaryKey({ columns: [table.productId, table.tagId] })]);

export const customersRelations = relations(customers, ({ many }) => ({ orders: many(orders) }));
export const productsRelations = relations(products, ({ many }) => ({ items: many(items), productTags: many(productTags) }));
export const ordersRelations = relations(orders, ({ one, many }) => ({
  customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
  items: many(items),
}));
export const itemsRelations = relations(items, ({ one }) => ({
  order: one(orders, { fields: [items.orderId], references: [orders.id] }),
  product: one(products, { fields: [items.productId], references: [products.id] }),
}));
export const tagsRelations = relations(tags, ({ many }) => ({ productTags: many(productTags) }));
export const productTagsRelations = relations(productTags, ({ one }) => ({
  product: one(products, { fields: [productTags.productId], references: [products.id] }),
  tag: one(tags, { fields: [productTags.tagId], references: [tags.id] }),
}));
