// The shop's tables as the guarded applications declare them: snake_case in the database,
// camelCase in code, `org_` tables with `organizationId` and `deletedAt`.
import { integer, jsonb, numeric, pgEnum, pgTable, primaryKey, text, timestamp, unique, uuid } from 'drizzle-orm/pg-core';

const instant = (name) => timestamp(name, { withTimezone: true });

const base = () => ({
  id: uuid('id').primaryKey(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
  deletedAt: instant('deleted_at'),
});

const ofOrganization = () => ({
  ...base(),
  organizationId: uuid('organization_id').notNull().references(() => organizations.id, { onDelete: 'cascade' }),
});

export const orderStatus = pgEnum('org_order_status', ['draft', 'placed', 'shipped']);

export const plans = pgTable('plans', { ...base(), code: text('code').notNull().unique(), monthlyCents: integer('monthly_cents').notNull() });

export const organizations = pgTable('organizations', {
  ...base(),
  name: text('name').notNull(),
  planId: uuid('plan_id').notNull().references(() => plans.id, { onDelete: 'restrict' }),
});

export const customers = pgTable('org_customers', {
  ...ofOrganization(),
  name: text('name').notNull(),
  email: text('email').notNull(),
}, (table) => [unique().on(table.organizationId, table.email)]);

export const products = pgTable('org_products', {
  ...ofOrganization(),
  sku: text('sku').notNull(),
  name: text('name').notNull(),
  priceCents: integer('price_cents').notNull(),
  stock: integer('stock').notNull().default(0),
  attributes: jsonb('attributes').notNull().default({}),
}, (table) => [unique().on(table.organizationId, table.sku)]);

export const orders = pgTable('org_orders', {
  ...ofOrganization(),
  customerId: uuid('customer_id').notNull().references(() => customers.id, { onDelete: 'restrict' }),
  status: orderStatus('status').notNull().default('draft'),
  note: text('note').notNull(),
  totalCents: integer('total_cents').notNull(),
});

export const items = pgTable('org_order_items', {
  ...ofOrganization(),
  orderId: uuid('order_id').notNull().references(() => orders.id, { onDelete: 'cascade' }),
  productId: uuid('product_id').notNull().references(() => products.id, { onDelete: 'restrict' }),
  label: text('label').notNull(),
  quantity: integer('quantity').notNull(),
});

export const tags = pgTable('org_tags', { ...ofOrganization(), name: text('name').notNull() });

export const productTags = pgTable('org_product_tags', {
  organizationId: uuid('organization_id').notNull().references(() => organizations.id, { onDelete: 'cascade' }),
  productId: uuid('product_id').notNull().references(() => products.id, { onDelete: 'cascade' }),
  tagId: uuid('tag_id').notNull().references(() => tags.id, { onDelete: 'cascade' }),
}, (table) => [primaryKey({ columns: [table.productId, table.tagId] })]);

export const invoices = pgTable('org_invoices', {
  ...ofOrganization(),
  customerId: uuid('customer_id').notNull().references(() => customers.id, { onDelete: 'restrict' }),
  number: text('number').notNull(),
  amount: numeric('amount', { precision: 12, scale: 2 }).notNull(),
  labels: text('labels').array().notNull().default([]),
  terms: jsonb('terms').notNull().default({}),
  issuedAt: instant('issued_at').notNull(),
  paidAt: instant('paid_at'),
  memo: text('memo'),
}, (table) => [unique().on(table.organizationId, table.number)]);
