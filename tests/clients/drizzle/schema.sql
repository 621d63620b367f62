-- The tables and rows of the client programs, in the conventions of the applications that orgguard
-- guards. Run with psql against PostgreSQL itself, as the role that owns the tables.
--
-- Every row that an organization must not see says so: names of the other organization's rows begin
-- with "Foreign", names of soft-deleted rows with "Gone".
SET client_min_messages = warning;

DROP TABLE IF EXISTS org_product_tags, org_tags, org_order_items, org_orders, org_products,
  org_customers, org_members, organizations, plans, users CASCADE;
DROP TYPE IF EXISTS org_order_status;

CREATE TYPE org_order_status AS ENUM ('draft', 'placed', 'shipped');

CREATE TABLE plans (
  id uuid PRIMARY KEY,
  code text NOT NULL UNIQUE,
  monthly_cents integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE organizations (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  plan_id uuid NOT NULL REFERENCES plans (id) ON DELETE RESTRICT,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE org_members (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  UNIQUE (organization_id, user_id)
);

CREATE TABLE org_customers (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  name text NOT NULL,
  email text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  UNIQUE (organization_id, email)
);

CREATE TABLE org_products (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  sku text NOT NULL,
  name text NOT NULL,
  price_cents integer NOT NULL,
  stock integer NOT NULL DEFAULT 0,
  attributes jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  UNIQUE (organization_id, sku)
);

CREATE TABLE org_orders (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  customer_id uuid NOT NULL REFERENCES org_customers (id) ON DELETE RESTRICT,
  status org_order_status NOT NULL DEFAULT 'draft',
  note text NOT NULL,
  total_cents integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE org_order_items (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  order_id uuid NOT NULL REFERENCES org_orders (id) ON DELETE CASCADE,
  product_id uuid NOT NULL REFERENCES org_products (id) ON DELETE RESTRICT,
  label text NOT NULL,
  quantity integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE org_tags (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

-- A junction table: composite key, no soft delete.
CREATE TABLE org_product_tags (
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  product_id uuid NOT NULL REFERENCES org_products (id) ON DELETE CASCADE,
  tag_id uuid NOT NULL REFERENCES org_tags (id) ON DELETE CASCADE,
  PRIMARY KEY (product_id, tag_id)
);

INSERT INTO plans (id, code, monthly_cents) VALUES
  ('01900000-0000-7000-8000-000000000001', 'free', 0),
  ('01900000-0000-7000-8000-000000000002', 'team', 4900);

INSERT INTO organizations (id, name, plan_id) VALUES
  ('01900000-0000-7000-8000-00000000000a', 'Acme', '01900000-0000-7000-8000-000000000002'),
  ('01900000-0000-7000-8000-00000000000b', 'Bolt', '01900000-0000-7000-8000-000000000001');

INSERT INTO users (id, email) VALUES
  ('01900000-0000-7000-8000-000000000011', 'ursula@example.test'),
  ('01900000-0000-7000-8000-000000000012', 'viktor@example.test');

INSERT INTO org_members (id, organization_id, user_id, role) VALUES
  ('01900000-0000-7000-8000-000000000021', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-000000000011', 'owner'),
  ('01900000-0000-7000-8000-000000000022', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-000000000011', 'guest'),
  ('01900000-0000-7000-8000-000000000023', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-000000000012', 'owner');

INSERT INTO org_customers (id, organization_id, name, email, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000000a1', '01900000-0000-7000-8000-00000000000a', 'Ada', 'ada@example.test', NULL),
  ('01900000-0000-7000-8000-0000000000a2', '01900000-0000-7000-8000-00000000000a', 'Alan', 'alan@example.test', NULL),
  ('01900000-0000-7000-8000-0000000000a3', '01900000-0000-7000-8000-00000000000a', 'Gone Grace', 'grace@example.test', '2026-01-01'),
  ('01900000-0000-7000-8000-0000000000b1', '01900000-0000-7000-8000-00000000000b', 'Foreign Bob', 'bob@example.test', NULL);

INSERT INTO org_products (id, organization_id, sku, name, price_cents, stock, attributes, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000001a1', '01900000-0000-7000-8000-00000000000a', 'ANVIL', 'Anvil', 9900, 3, '{"kilos": 50}', NULL),
  ('01900000-0000-7000-8000-0000000001a2', '01900000-0000-7000-8000-00000000000a', 'BELLOWS', 'Bellows', 4500, 0, '{}', NULL),
  ('01900000-0000-7000-8000-0000000001a3', '01900000-0000-7000-8000-00000000000a', 'CHISEL', 'Chisel', 1200, 40, '{}', NULL),
  ('01900000-0000-7000-8000-0000000001a4', '01900000-0000-7000-8000-00000000000a', 'HAMMER', 'Gone hammer', 1500, 7, '{}', '2026-01-01'),
  ('01900000-0000-7000-8000-0000000001b1', '01900000-0000-7000-8000-00000000000b', 'DRILL', 'Foreign drill', 7700, 5, '{}', NULL),
  ('01900000-0000-7000-8000-0000000001b2', '01900000-0000-7000-8000-00000000000b', 'SAW', 'Foreign saw', 2200, 9, '{}', NULL);

-- The last order of Acme is live but belongs to a soft-deleted customer; the one of Ada that refers
-- to a product of Bolt is the kind of row that a missing filter once wrote.
INSERT INTO org_orders (id, organization_id, customer_id, status, note, total_cents, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000002a1', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a1', 'placed', 'first', 11100, NULL),
  ('01900000-0000-7000-8000-0000000002a2', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a1', 'draft', 'second', 1200, NULL),
  ('01900000-0000-7000-8000-0000000002a3', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a2', 'shipped', 'third', 4500, NULL),
  ('01900000-0000-7000-8000-0000000002a4', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a2', 'draft', 'Gone order', 700, '2026-01-01'),
  ('01900000-0000-7000-8000-0000000002a5', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a3', 'shipped', 'fourth', 900, NULL),
  ('01900000-0000-7000-8000-0000000002b1', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-0000000000b1', 'placed', 'Foreign order', 7700, NULL);

INSERT INTO org_order_items (id, organization_id, order_id, product_id, label, quantity, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000003a1', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000002a1', '01900000-0000-7000-8000-0000000001a1', 'one anvil', 1, NULL),
  ('01900000-0000-7000-8000-0000000003a2', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000002a1', '01900000-0000-7000-8000-0000000001a3', 'one chisel', 1, NULL),
  ('01900000-0000-7000-8000-0000000003a3', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000002a1', '01900000-0000-7000-8000-0000000001a4', 'Gone item', 2, '2026-01-01'),
  ('01900000-0000-7000-8000-0000000003a4', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000002a3', '01900000-0000-7000-8000-0000000001a2', 'two bellows', 2, NULL),
  ('01900000-0000-7000-8000-0000000003a5', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000002a2', '01900000-0000-7000-8000-0000000001b1', 'a drill of another shop', 1, NULL),
  ('01900000-0000-7000-8000-0000000003b1', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-0000000002b1', '01900000-0000-7000-8000-0000000001b1', 'Foreign item', 3, NULL),
  ('01900000-0000-7000-8000-0000000003b2', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-0000000002b1', '01900000-0000-7000-8000-0000000001a2', 'Foreign item of bellows', 5, NULL);

INSERT INTO org_tags (id, organization_id, name, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000004a1', '01900000-0000-7000-8000-00000000000a', 'heavy', NULL),
  ('01900000-0000-7000-8000-0000000004a2', '01900000-0000-7000-8000-00000000000a', 'Gone tag', '2026-01-01'),
  ('01900000-0000-7000-8000-0000000004b1', '01900000-0000-7000-8000-00000000000b', 'Foreign tag', NULL);

INSERT INTO org_product_tags (organization_id, product_id, tag_id) VALUES
  ('01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000001a1', '01900000-0000-7000-8000-0000000004a1'),
  ('01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-0000000001b1', '01900000-0000-7000-8000-0000000004b1');
