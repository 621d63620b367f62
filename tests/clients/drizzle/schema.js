// The shop's tables as the guarded applications declare them: snake_case in the database,
// camelCase in code, `org_` tables with `organizationId` and `deletedAt`.
import { relations } from 'drizzle-orm';
import { integer, jsonb, pgEnum, pgTable, primaryKey, text, timestamp, unique, uuid } from 'drizzle-orm/pg-core';

const instant = (name) => timestamp(name, { withTimezone: true, mode: 'string' });

const base = () => ({
  id: uuid('id').primaryKey(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
  deletedAt: instant('deleted_at'),
});

const ofOrganization = () => ({
  ...base(),
  organizationId: uuid('organization_id')
    .notNull()
    .references(() => organizations.id, { onDelete: 'cascade' }),
});

export const orderStatus = pgEnum('org_order_status', ['draft', 'placed', 'shipped']);

export const plans = pgTable('plans', {
  ...base(),
  code: text('code').notNull().unique(),
  monthlyCents: integer('monthly_cents').notNull(),
});

export const organizations = pgTable('organizations', {
  ...base(),
  name: text('name').notNull(),
  planId: uuid('plan_id').notNull().references(() => plans.id, { onDelete: 'restrict' }),
});

export const users = pgTable('users', { ...base(), email: text('email').notNull().unique() });

export const orgMembers = pgTable('org_members', {
  ...ofOrganization(),
  userId: uuid('user_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
  role: text('role').notNull(),
}, (table) => [unique().on(table.organizationId, table.userId)]);

export const orgCustomers = pgTable('org_customers', {
  ...ofOrganization(),
  name: text('name').notNull(),
  email: text('email').notNull(),
}, (table) => [unique().on(table.organizationId, table.email)]);

export const orgProducts = pgTable('org_products', {
  ...ofOrganization(),
  sku: text('sku').notNull(),
  name: text('name').notNull(),
  priceCents: integer('price_cents').notNull(),
  stock: integer('stock').notNull().default(0),
  attributes: jsonb('attributes').notNull().default({}),
}, (table) => [unique().on(table.organizationId, table.sku)]);

export const orgOrders = pgTable('org_orders', {
  ...ofOrganization(),
  customerId: uuid('customer_id').notNull().references(() => orgCustomers.id, { onDelete: 'restrict' }),
  status: orderStatus('status').notNull().default('draft'),
  note: text('note').notNull(),
  totalCents: integer('total_cents').notNull(),
});

export const orgOrderItems = pgTable('org_order_items', {
  ...ofOrganization(),
  orderId: uuid('order_id').notNull().references(() => orgOrders.id, { onDelete: 'cascade' }),
  productId: uuid('product_id').notNull().references(() => orgProducts.id, { onDelete: 'restrict' }),
  label: text('label').notNull(),
  quantity: integer('quantity').notNull(),
});

export const orgTags = pgTable('org_tags', { ...ofOrganization(), name: text('name').notNull() });

export const orgProductTags = pgTable('org_product_tags', {
  organizationId: uuid('organization_id').notNull().references(() => organizations.id, { onDelete: 'cascade' }),
  productId: uuid('product_id').notNull().references(() => orgProducts.id, { onDelete: 'cascade' }),
  tagId: uuid('tag_id').notNull().references(() => orgTags.id, { onDelete: 'cascade' }),
}, (table) => [primaryKey({ columns: [table.productId, table.tagId] })]);

export const organizationsRelations = relations(organizations, ({ one, many }) => ({
  plan: one(plans, { fields: [organizations.planId], references: [plans.id] }),
  products: many(orgProducts),
}));

export const orgCustomersRelations = relations(orgCustomers, ({ many }) => ({
  orders: many(orgOrders, { relationName: 'customer' }),
}));

export const orgProductsRelations = relations(orgProducts, ({ one, many }) => ({
  organization: one(organizations, { fields: [orgProducts.organizationId], references: [organizations.id] }),
  items: many(orgOrderItems),
}));

export const orgOrdersRelations = relations(orgOrders, ({ one, many }) => ({
  customer: one(orgCustomers, {
    relationName: 'customer',
    fields: [orgOrders.customerId],
    references: [orgCustomers.id],
  }),
  // The composite form binds the organization of the customer, but nothing can ask that the
  // customer is alive: one() takes no `where`.
  customerOfOrganization: one(orgCustomers, {
    relationName: 'customerOfOrganization',
    fields: [orgOrders.organizationId, orgOrders.customerId],
    references: [orgCustomers.organizationId, orgCustomers.id],
  }),
  items: many(orgOrderItems),
}));

export const orgOrderItemsRelations = relations(orgOrderItems, ({ one }) => ({
  order: one(orgOrders, { fields: [orgOrderItems.orderId], references: [orgOrders.id] }),
  product: one(orgProducts, { fields: [orgOrderItems.productId], references: [orgProducts.id] }),
}));
