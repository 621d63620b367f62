-- Aggregates, windows, grouping, HAVING and FILTER.

--@ case: count of a bound table
--@ verdict: admit
SELECT count(*), sum(price), string_agg(name, ',' ORDER BY name) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: count of a loose table
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FROM org_products;

--@ case: count that forgets soft delete
--@ verdict: refuse visible-deleted
SELECT count(*) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: GROUP BY with HAVING over aggregates
--@ verdict: admit
SELECT status, count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY status HAVING count(*) > 1 ORDER BY 2 DESC;

--@ case: HAVING on the keys
--@ verdict: admit
SELECT organization_id, count(*) FROM org_orders GROUP BY organization_id, deleted_at HAVING organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: HAVING on the tenant, soft delete is no key
--@ verdict: refuse visible-deleted
SELECT organization_id, count(*) FROM org_orders GROUP BY organization_id HAVING organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: HAVING through an aggregate
--@ verdict: refuse unbound-tenant
SELECT status, count(*) FROM org_orders WHERE deleted_at IS NULL GROUP BY status HAVING bool_or(organization_id = '11111111-1111-4111-8111-111111111111');

--@ case: HAVING by the smallest tenant
--@ verdict: refuse unbound-tenant
SELECT status, count(*) FROM org_orders WHERE deleted_at IS NULL GROUP BY status HAVING min(organization_id::text) = '11111111-1111-4111-8111-111111111111';

--@ case: HAVING without GROUP BY
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FROM org_orders HAVING count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) > 0;

--@ case: GROUPING SETS with an arm for all
--@ verdict: refuse unbound-tenant
SELECT organization_id, count(*) FROM org_orders WHERE deleted_at IS NULL GROUP BY GROUPING SETS ((organization_id), ()) HAVING organization_id = '11111111-1111-4111-8111-111111111111' OR organization_id IS NULL;

--@ case: GROUPING SETS over a bound table
--@ verdict: admit
SELECT status, count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY GROUPING SETS ((status), ());

--@ case: ROLLUP over a bound table
--@ verdict: admit
SELECT status, customer_id, count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY ROLLUP (status, customer_id);

--@ case: CUBE over a loose table
--@ verdict: refuse unbound-tenant
SELECT status, count(*) FROM org_orders WHERE deleted_at IS NULL GROUP BY CUBE (status, organization_id);

--@ case: every aggregate filtered, no GROUP BY
--@ verdict: admit
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), max(total) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_orders;

--@ case: one of two aggregates filtered
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), count(*) FROM org_orders;

--@ case: filtered aggregates with GROUP BY
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT status, count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_orders GROUP BY status;

--@ case: FILTER over a bound table
--@ verdict: admit
SELECT count(*) FILTER (WHERE status = 'open'), count(*) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a loose subquery in FILTER
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE number > (SELECT count(*) / 5 FROM org_order_items)) FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a loose subquery in HAVING
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT status FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY status HAVING count(*) >= (SELECT count(*) / 6 FROM org_order_items);

--@ case: a bound subquery in HAVING
--@ verdict: admit
SELECT status FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL GROUP BY status HAVING count(*) >= (SELECT count(*) / 6 FROM org_order_items WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL);

--@ case: a loose subquery in an aggregate's ORDER BY
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT string_agg(label, ',' ORDER BY length(label) * (SELECT CASE WHEN count(*) > 6 THEN 1 ELSE -1 END FROM org_notes)) FROM org_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a window over a bound table
--@ verdict: admit
SELECT name, row_number() OVER (ORDER BY id), sum(price) OVER (PARTITION BY supplier_id ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: the predicate in PARTITION BY
--@ verdict: refuse unbound-tenant
SELECT name, rank() OVER (PARTITION BY organization_id = '11111111-1111-4111-8111-111111111111' ORDER BY price) FROM org_products WHERE deleted_at IS NULL;

--@ case: a loose subquery in a window
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT name, sum(1) OVER (PARTITION BY stock > (SELECT avg(stock) FROM org_products)) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: an aggregate over a LEFT JOIN, both bound
--@ verdict: admit
SELECT o.status, count(i.id), coalesce(sum(i.quantity), 0) FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL GROUP BY o.status;

--@ case: an aggregate over a LEFT JOIN, soft delete in WHERE
--@ verdict: admit advice visible-deleted
SELECT o.status, count(i.id) FROM org_orders o LEFT JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL GROUP BY o.status;

--@ case: GROUP BY the primary key
--@ verdict: admit
SELECT o.id, o.number, o.status, count(*) FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL GROUP BY o.id;

--@ case: a subquery correlated to the grouped tenant
--@ verdict: admit
SELECT o.organization_id, (SELECT count(*) FROM org_tags t WHERE t.organization_id = o.organization_id AND t.deleted_at IS NULL) FROM org_orders o WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL GROUP BY o.organization_id;

--@ case: DISTINCT ON over a bound table
--@ verdict: admit
SELECT DISTINCT ON (status) status, number FROM org_orders WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL ORDER BY status, number, id;

--@ case: count DISTINCT of tenants
--@ verdict: refuse unbound-tenant
SELECT count(DISTINCT organization_id) FROM org_orders WHERE deleted_at IS NULL;

--@ case: an ordered-set aggregate over a bound table
--@ verdict: admit
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: json built from a bound table
--@ verdict: admit
SELECT json_agg(json_build_object('sku', sku, 'price', price) ORDER BY sku) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: json built from a loose table
--@ verdict: refuse unbound-tenant
SELECT json_object_agg(id, name) FROM org_products WHERE deleted_at IS NULL;

--@ case: every aggregate filters for itself
--@ verdict: admit
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), coalesce(max(name) FILTER (WHERE deleted_at IS NULL AND stock > 1 AND organization_id = '11111111-1111-4111-8111-111111111111'), 'none') FROM org_products;

--@ case: one aggregate does not filter
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), count(*) FROM org_products;

--@ case: one aggregate filters by the tenant alone
--@ verdict: refuse visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), max(name) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111') FROM org_products;

--@ case: one aggregate filters by another tenant
--@ verdict: refuse foreign-tenant
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL), max(name) FILTER (WHERE organization_id = '22222222-2222-4222-8222-222222222222' AND deleted_at IS NULL) FROM org_products;

--@ case: the aggregates filter, the groups show
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT sku, count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_products GROUP BY sku;

--@ case: the aggregates filter, HAVING does not
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_products HAVING count(*) > 10;

--@ case: the aggregates filter, ORDER BY does not
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_products ORDER BY (SELECT count(*) FROM org_notes);

--@ case: a window function with FILTER is no aggregate
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) OVER () FROM org_products;

--@ case: the aggregates of a join filter one side
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT count(*) FILTER (WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL) FROM org_products p JOIN org_order_items i ON i.product_id = p.id;

--@ case: the aggregates of a join filter both sides
--@ verdict: admit
SELECT count(*) FILTER (WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL AND i.organization_id = p.organization_id AND i.deleted_at IS NULL) FROM org_products p JOIN org_order_items i ON i.product_id = p.id;

--@ case: an aggregate of the outer query filters nothing inside
--@ verdict: refuse unbound-tenant
SELECT m.organization_id, (SELECT count(*) FILTER (WHERE m.organization_id = '11111111-1111-4111-8111-111111111111') FROM org_notes n WHERE n.organization_id = m.organization_id AND n.deleted_at IS NULL LIMIT 1) FROM memberships m GROUP BY m.organization_id;

--@ case: filtered aggregates in a subquery
--@ verdict: admit
SELECT code FROM plans WHERE id < (SELECT count(*) FILTER (WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL) FROM org_products);

--@ case: HAVING on a key of GROUPING SETS
--@ verdict: admit
SELECT organization_id, sku, count(*) FROM org_products WHERE deleted_at IS NULL GROUP BY GROUPING SETS ((organization_id, sku), (organization_id), ()) HAVING organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: HAVING on a key of ROLLUP
--@ verdict: admit
SELECT organization_id, sku, count(*) FROM org_products WHERE deleted_at IS NULL GROUP BY ROLLUP (organization_id, sku) HAVING organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: HAVING on a key of GROUPING SETS, or its NULL
--@ verdict: refuse unbound-tenant
SELECT organization_id, count(*) FROM org_products WHERE deleted_at IS NULL GROUP BY GROUPING SETS ((organization_id), ()) HAVING organization_id = '11111111-1111-4111-8111-111111111111' OR organization_id IS NULL;

--@ case: HAVING IS NULL on a key of GROUPING SETS
--@ verdict: refuse visible-deleted
SELECT organization_id, count(*) FROM org_products GROUP BY GROUPING SETS ((organization_id, deleted_at), (organization_id)) HAVING organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a frame that excludes current row
--@ verdict: admit
SELECT sku, sum(stock) OVER (ORDER BY sku ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a frame that excludes group
--@ verdict: admit
SELECT sku, sum(stock) OVER (ORDER BY sku ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a frame that excludes ties
--@ verdict: admit
SELECT sku, sum(stock) OVER (ORDER BY sku ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a frame that excludes no others
--@ verdict: admit
SELECT sku, sum(stock) OVER (ORDER BY sku ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE NO OTHERS) FROM org_products WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: a frame that excludes, not bound
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT sku, sum(stock) OVER (w ROWS UNBOUNDED PRECEDING EXCLUDE TIES) FROM org_products WINDOW w AS (ORDER BY sku);
