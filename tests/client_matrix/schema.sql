-- A table more than ../clients/drizzle/schema.sql has, with the types that drivers encode in their
-- own ways: numeric, arrays, jsonb, timestamps and NULLs.
CREATE TABLE org_invoices (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  customer_id uuid NOT NULL REFERENCES org_customers (id) ON DELETE RESTRICT,
  number text NOT NULL,
  amount numeric(12, 2) NOT NULL,
  labels text[] NOT NULL DEFAULT '{}',
  terms jsonb NOT NULL DEFAULT '{}',
  issued_at timestamptz NOT NULL,
  paid_at timestamptz,
  memo text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  UNIQUE (organization_id, number)
);

INSERT INTO org_invoices (id, organization_id, customer_id, number, amount, labels, terms, issued_at, paid_at, memo, deleted_at) VALUES
  ('01900000-0000-7000-8000-0000000005a1', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a1', 'INV-1', 1250.50, '{net30,eu}', '{"pay": {"days": 30}}', '2026-01-10T00:00:00Z', '2026-01-20T00:00:00Z', NULL, NULL),
  ('01900000-0000-7000-8000-0000000005a2', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a1', 'INV-2', 99.90, '{}', '{}', '2026-02-01T00:00:00Z', NULL, 'call first', NULL),
  ('01900000-0000-7000-8000-0000000005a3', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a2', 'INV-3', 10000.00, '{eu}', '{"pay": {"days": 60}}', '2026-03-05T00:00:00Z', NULL, NULL, NULL),
  ('01900000-0000-7000-8000-0000000005a4', '01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-0000000000a2', 'Gone 4', 500.00, '{eu}', '{"pay": {"days": 30}}', '2026-02-02T00:00:00Z', NULL, 'gone', '2026-03-06'),
  ('01900000-0000-7000-8000-0000000005b1', '01900000-0000-7000-8000-00000000000b', '01900000-0000-7000-8000-0000000000b1', 'Foreign 1', 700.70, '{eu}', '{"pay": {"days": 30}}', '2026-02-03T00:00:00Z', NULL, 'foreign', NULL);
