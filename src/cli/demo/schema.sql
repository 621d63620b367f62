-- The demo's shop, by the conventions of the guarded applications: tables of one organization are
-- called org_*, carry organization_id, and rows are deleted by setting deleted_at.
CREATE TABLE organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE TABLE plans (
    id uuid PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE org_products (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name text NOT NULL,
    price numeric NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
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
CREATE TABLE org_orders (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    customer_id uuid NOT NULL REFERENCES org_customers (id) ON DELETE CASCADE,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE TABLE org_order_items (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    order_id uuid NOT NULL REFERENCES org_orders (id) ON DELETE CASCADE,
    product_id uuid NOT NULL REFERENCES org_products (id) ON DELETE CASCADE,
    quantity integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX ON org_products (organization_id) WHERE deleted_at IS NULL;
CREATE INDEX ON org_orders (organization_id) WHERE deleted_at IS NULL;

INSERT INTO organizations (id, name) VALUES
    ('11111111-1111-1111-1111-111111111111', 'Acme'),
    ('22222222-2222-2222-2222-222222222222', 'Globex');
INSERT INTO plans (id, name) VALUES
    ('00000000-0000-0000-0000-000000000001', 'Free'),
    ('00000000-0000-0000-0000-000000000002', 'Business');
INSERT INTO org_products (id, organization_id, name, price, deleted_at) VALUES
    ('a1000000-0000-0000-0000-000000000001', '11111111-1111-1111-1111-111111111111', 'Anvil', 30, NULL),
    ('a1000000-0000-0000-0000-000000000002', '11111111-1111-1111-1111-111111111111', 'Rope', 5, NULL),
    ('a1000000-0000-0000-0000-000000000003', '11111111-1111-1111-1111-111111111111', 'Magnet', 20, NULL),
    ('a1000000-0000-0000-0000-000000000004', '11111111-1111-1111-1111-111111111111', 'Old bait', 7, now()),
    ('a2000000-0000-0000-0000-000000000001', '22222222-2222-2222-2222-222222222222', 'Widget', 8, NULL),
    ('a2000000-0000-0000-0000-000000000002', '22222222-2222-2222-2222-222222222222', 'Turbine', 50, NULL),
    ('a2000000-0000-0000-0000-000000000003', '22222222-2222-2222-2222-222222222222', 'Old valve', 9, now());
INSERT INTO org_customers (id, organization_id, name, email, deleted_at) VALUES
    ('b1000000-0000-0000-0000-000000000001', '11111111-1111-1111-1111-111111111111', 'Sam', 'sam@example.com', NULL),
    ('b1000000-0000-0000-0000-000000000002', '11111111-1111-1111-1111-111111111111', 'Ann', 'ann@example.com', NULL),
    ('b1000000-0000-0000-0000-000000000003', '11111111-1111-1111-1111-111111111111', 'Tom', 'tom@example.com', now()),
    ('b2000000-0000-0000-0000-000000000001', '22222222-2222-2222-2222-222222222222', 'Sam', 'sam@example.com', NULL),
    ('b2000000-0000-0000-0000-000000000002', '22222222-2222-2222-2222-222222222222', 'Gus', 'gus@example.com', NULL);
INSERT INTO org_orders (id, organization_id, customer_id, email, deleted_at) VALUES
    ('c1000000-0000-0000-0000-000000000001', '11111111-1111-1111-1111-111111111111', 'b1000000-0000-0000-0000-000000000001', 'sam@example.com', NULL),
    ('c1000000-0000-0000-0000-000000000002', '11111111-1111-1111-1111-111111111111', 'b1000000-0000-0000-0000-000000000002', 'ann@example.com', NULL),
    ('c1000000-0000-0000-0000-000000000003', '11111111-1111-1111-1111-111111111111', 'b1000000-0000-0000-0000-000000000001', 'sam@example.com', now()),
    ('c2000000-0000-0000-0000-000000000001', '22222222-2222-2222-2222-222222222222', 'b2000000-0000-0000-0000-000000000002', 'gus@example.com', NULL);
INSERT INTO org_order_items (id, organization_id, order_id, product_id, quantity) VALUES
    ('d1000000-0000-0000-0000-000000000001', '11111111-1111-1111-1111-111111111111', 'c1000000-0000-0000-0000-000000000001', 'a1000000-0000-0000-0000-000000000001', 1),
    ('d1000000-0000-0000-0000-000000000002', '11111111-1111-1111-1111-111111111111', 'c1000000-0000-0000-0000-000000000002', 'a1000000-0000-0000-0000-000000000002', 3),
    ('d2000000-0000-0000-0000-000000000001', '22222222-2222-2222-2222-222222222222', 'c2000000-0000-0000-0000-000000000001', 'a2000000-0000-0000-0000-000000000002', 2);

-- Applications are no superusers.
CREATE ROLE app LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
