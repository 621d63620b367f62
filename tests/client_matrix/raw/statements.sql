-- The statements of the programs that write SQL themselves (psycopg, asyncpg, tokio-postgres, sqlx,
-- pgjdbc), which put their own placeholders for $1, $2 ...
--
-- A block is a line `-- NAME SHAPE PARAMETER...` and a statement. $1 is always the organization; the
-- parameters of the line are $2 and so on, as `type:value`, where `uuid:1a1` is the id that ends so,
-- `new` a new id, `fresh:LAMP` a text that no row has, and `uuids`, `new_ids` and `fresh_texts` are
-- arrays. SHAPE says what is taken of the answer: rows, the first column, the first row, its first
-- value, or the count of rows; a step that is written out in the programs uses those of shape
-- `part`. {p} stands for the filter of the table called p, {p.live} for its deleted_at alone,
-- {p.organization} for its organization alone.

-- list rows
SELECT p.sku, p.name FROM org_products p WHERE {p} ORDER BY p.sku

-- by_id row uuid:1a1
SELECT p.sku, p.price_cents FROM org_products p WHERE {p} AND p.id = $2

-- by_foreign_id column uuid:1b1
SELECT p.sku FROM org_products p WHERE {p} AND p.id = $2

-- join_three rows
SELECT i.label, o.note, c.name
FROM org_order_items i
JOIN org_orders o ON o.id = i.order_id AND {o}
JOIN org_customers c ON c.organization_id = o.organization_id AND c.id = o.customer_id AND {c.live}
WHERE {i}
ORDER BY i.label

-- left_join rows
SELECT o.note, c.name FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id AND {c} WHERE {o} ORDER BY o.note

-- count value
SELECT count(*) FROM org_orders o WHERE {o}

-- aggregate rows
SELECT c.name, count(*), sum(o.total_cents)
FROM org_orders o, org_customers c
WHERE c.id = o.customer_id AND {o} AND {c}
GROUP BY c.id, c.name HAVING count(*) > 0 ORDER BY c.name

-- scalar_subquery rows
SELECT c.name, (SELECT count(*) FROM org_orders o WHERE o.customer_id = c.id AND {o}) AS orders
FROM org_customers c WHERE {c} ORDER BY c.name

-- derived_table rows
SELECT c.name, spent.total
FROM org_customers c
JOIN (SELECT o.customer_id, sum(o.total_cents) AS total FROM org_orders o WHERE {o} GROUP BY o.customer_id) spent ON spent.customer_id = c.id
WHERE {c} ORDER BY c.name

-- in_list column uuid:1a1 uuid:1b1 uuid:1a3
SELECT p.sku FROM org_products p WHERE {p} AND p.id IN ($2, $3, $4) ORDER BY p.sku

-- any_array column uuids:1a1,1b1,1a3
SELECT p.sku FROM org_products p WHERE {p} AND p.id = ANY($2) ORDER BY p.sku

-- exists column
SELECT p.sku FROM org_products p
WHERE {p} AND EXISTS (SELECT FROM org_order_items i WHERE i.product_id = p.id AND i.quantity > 1 AND {i}) ORDER BY p.sku

-- not_exists column
SELECT c.name FROM org_customers c
WHERE {c} AND NOT EXISTS (
  SELECT 1 FROM org_orders o WHERE o.organization_id = c.organization_id AND o.customer_id = c.id AND {o.live} AND o.status = 'draft')

-- in_subquery column uuid:2a1
SELECT p.sku FROM org_products p WHERE {p} AND p.id IN (SELECT i.product_id FROM org_order_items i WHERE {i} AND i.order_id = $2) ORDER BY 1

-- cte rows
WITH waiting AS (SELECT o.id, o.note FROM org_orders o WHERE {o} AND o.status IN ('draft', 'placed')),
     lines AS (SELECT i.order_id, i.label FROM org_order_items i WHERE {i})
SELECT waiting.note, lines.label FROM waiting JOIN lines ON lines.order_id = waiting.id ORDER BY lines.label

-- union column
SELECT p.name FROM org_products p WHERE {p} UNION SELECT c.name FROM org_customers c WHERE {c} ORDER BY name

-- page column int:2 int:1
SELECT p.sku FROM org_products p WHERE {p} ORDER BY p.price_cents DESC LIMIT $2::int OFFSET $3::int

-- keyset column int:4500 uuid:1a2
SELECT p.sku FROM org_products p WHERE {p} AND (p.price_cents, p.id) < ($2, $3) ORDER BY p.price_cents DESC, p.id DESC LIMIT 10

-- window rows
SELECT p.sku, row_number() OVER (ORDER BY p.price_cents DESC) FROM org_products p WHERE {p} ORDER BY p.sku

-- search column text:%chi% int:0
SELECT p.sku FROM org_products p WHERE {p} AND (p.name ILIKE $2 OR p.stock = $3) ORDER BY p.sku

-- distinct column
SELECT DISTINCT o.status::text FROM org_orders o WHERE {o} ORDER BY 1

-- json_filter column text:30
SELECT i.number FROM org_invoices i WHERE {i} AND i.terms -> 'pay' ->> 'days' = $2

-- json_value value text:ANVIL
SELECT (p.attributes ->> 'kilos')::int FROM org_products p WHERE {p} AND p.sku = $2

-- timestamps rows time:2026-01-15T00:00:00Z time:2026-03-10T00:00:00Z
SELECT i.number, i.issued_at FROM org_invoices i WHERE {i} AND i.issued_at >= $2 AND i.issued_at < $3 ORDER BY i.issued_at

-- numeric rows numeric:100.25
SELECT i.number, i.amount FROM org_invoices i WHERE {i} AND i.amount > $2 ORDER BY i.number

-- nulls rows
SELECT i.number, i.memo FROM org_invoices i WHERE {i} AND i.paid_at IS NULL ORDER BY i.number

-- text_array rows text:eu
SELECT i.number, i.labels FROM org_invoices i WHERE {i} AND $2 = ANY (i.labels) ORDER BY i.number

-- report rows
SELECT extract(epoch FROM date_trunc('month', i.issued_at, 'UTC'))::bigint AS month, count(*),
  coalesce(sum(i.amount) FILTER (WHERE i.paid_at IS NULL), 0)::numeric(12, 2)::text AS open
FROM org_invoices i WHERE {i} GROUP BY 1 ORDER BY 1

-- shared_table row
SELECT g.name, s.code FROM organizations g JOIN plans s ON s.id = g.plan_id WHERE g.id = $1

-- for_update part uuid:1a1
SELECT p.sku FROM org_products p WHERE {p} AND p.id = $2 FOR UPDATE

-- by_sku part
SELECT p.sku FROM org_products p WHERE {p} AND p.sku = $2

-- count_customers part
SELECT count(*) FROM org_customers c WHERE {c}

-- count_orders part
SELECT count(*) FROM org_orders o WHERE {o}

-- count_products part
SELECT count(*) FROM org_products p WHERE {p}

-- insert_product part
INSERT INTO org_products (id, organization_id, sku, name, price_cents) VALUES ($2, $1, $3, $4, 100)

-- product_name part
SELECT p.name FROM org_products p WHERE {p} AND p.id = $2

-- insert_returning row new fresh:ROPE text:Rope
INSERT INTO org_products (id, organization_id, sku, name, price_cents) VALUES ($2, $1, $3, $4, 100) RETURNING name, stock

-- insert_batch count new fresh:red new fresh:green new fresh:blue
INSERT INTO org_tags (id, organization_id, name) VALUES ($2, $1, $3), ($4, $1, $5), ($6, $1, $7)

-- upsert value new text:ANVIL
INSERT INTO org_products (id, organization_id, sku, name, price_cents, stock) VALUES ($2, $1, $3, 'Anvil', 9900, 1)
ON CONFLICT (organization_id, sku) DO UPDATE SET name = excluded.name, stock = org_products.stock + excluded.stock
WHERE {org_products.live}
RETURNING stock

-- upsert_nothing count new text:ANVIL
INSERT INTO org_products (id, organization_id, sku, name, price_cents) VALUES ($2, $1, $3, 'Second anvil', 1)
ON CONFLICT (organization_id, sku) DO NOTHING

-- update count int:39 text:CHISEL
UPDATE org_products p SET stock = $2, updated_at = now() WHERE {p} AND p.sku = $3

-- update_returning row int:4600 uuid:1a2
UPDATE org_products p SET price_cents = $2 WHERE {p} AND p.id = $3 RETURNING p.sku, p.price_cents

-- update_from column int:2
UPDATE org_order_items i SET label = p.name FROM org_products p WHERE {i} AND {p} AND p.id = i.product_id AND i.quantity = $2 RETURNING i.label

-- insert_tag part
INSERT INTO org_tags (id, organization_id, name) VALUES ($2, $1, $3)

-- delete_tag part
UPDATE org_tags t SET deleted_at = now(), updated_at = now() WHERE {t} AND t.id = $2

-- count_tags part
SELECT count(*) FROM org_tags t WHERE {t} AND t.name = $2

-- insert_link part uuid:1a3 uuid:4a1
INSERT INTO org_product_tags (organization_id, product_id, tag_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- delete_link part uuid:1a3
DELETE FROM org_product_tags l WHERE {l.organization} AND l.product_id = $2

-- insert_select count new text:ANVIL
INSERT INTO org_tags (id, organization_id, name) SELECT $2::uuid, p.organization_id, p.name FROM org_products p WHERE {p} AND p.sku = $3

-- insert_unnest count new_ids:3 fresh_texts:x,y,z
INSERT INTO org_tags (id, organization_id, name) SELECT u.id, $1, u.name FROM unnest($2::uuid[], $3::text[]) AS u(id, name)

-- modifying_cte column text:first
WITH moved AS (UPDATE org_orders o SET status = 'shipped' WHERE {o} AND o.note = $2 RETURNING o.note) SELECT note FROM moved

-- customer_id part text:Alan
SELECT c.id FROM org_customers c WHERE {c} AND c.name = $2

-- insert_order part
INSERT INTO org_orders (id, organization_id, customer_id, status, note, total_cents) VALUES ($2, $1, $3, 'placed', 'new', 300) RETURNING status::text

-- insert_items part
INSERT INTO org_order_items (id, organization_id, order_id, product_id, label, quantity) VALUES ($2, $1, $3, $4, 'left', 1), ($5, $1, $3, $4, 'right', 1)

-- take_stock part uuid:1a3
UPDATE org_products p SET stock = p.stock - 2 WHERE {p} AND p.id = $2

-- count_items part
SELECT count(*) FROM org_order_items i WHERE {i} AND i.order_id = $2
