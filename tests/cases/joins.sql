-- Inner joins: ON and WHERE are one.

--@ case: all in WHERE
--@ verdict: admit
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: all in ON
--@ verdict: admit
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL;

--@ case: a mix of both
--@ verdict: admit
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: one side by its foreign key only
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: the other side by its foreign key only
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE c.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND o.deleted_at IS NULL;

--@ case: one side forgets soft delete
--@ verdict: refuse visible-deleted
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: an OR in ON
--@ verdict: refuse unbound-tenant
SELECT o.number, c.name FROM org_orders o JOIN org_customers c ON c.id = o.customer_id AND (c.organization_id = '11111111-1111-4111-8111-111111111111' OR c.balance > 0) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND c.deleted_at IS NULL;

--@ case: comma join
--@ verdict: admit
SELECT o.number, i.quantity FROM org_orders o, org_order_items i WHERE i.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL;

--@ case: comma join, one unbound
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, i.quantity FROM org_orders o, org_order_items i WHERE i.order_id = o.id AND o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: cross join with a shared table
--@ verdict: admit
SELECT t.label, c.code FROM org_tags t CROSS JOIN countries c WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: cross join of two, one unbound
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT t.label, n.body FROM org_tags t CROSS JOIN org_notes n WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: USING the tenant column binds both
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o JOIN org_order_items i USING (organization_id) WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL AND i.order_id = o.id;

--@ case: USING the tenant column, bound through one side
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o JOIN org_order_items i USING (organization_id) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL AND i.order_id = o.id;

--@ case: USING the tenant column, never bound
--@ verdict: refuse unbound-tenant
SELECT o.number, i.remark FROM org_orders o JOIN org_order_items i USING (organization_id) WHERE o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: USING another column
--@ verdict: refuse unbound-tenant
SELECT a.label, b.body FROM org_tags a JOIN org_notes b USING (created_at) WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND b.deleted_at IS NULL;

--@ case: three tables through one constant
--@ verdict: admit
SELECT c.name, i.remark FROM org_customers c JOIN org_orders o ON o.customer_id = c.id AND o.organization_id = c.organization_id JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = o.organization_id WHERE i.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: three tables, the middle one loose
--@ verdict: refuse unbound-tenant
SELECT c.name, i.remark FROM org_customers c JOIN org_orders o ON o.customer_id = c.id JOIN org_order_items i ON i.order_id = o.id AND i.organization_id = c.organization_id WHERE i.organization_id = '11111111-1111-4111-8111-111111111111' AND c.deleted_at IS NULL AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: row equality in ON
--@ verdict: admit
SELECT o.number, i.remark FROM org_orders o JOIN org_order_items i ON (i.organization_id, i.order_id) = (o.organization_id, o.id) WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND i.deleted_at IS NULL;

--@ case: a self join, both bound
--@ verdict: admit
SELECT a.name, b.name FROM org_customers a JOIN org_customers b ON b.parent_id = a.id WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL AND b.organization_id = '11111111-1111-4111-8111-111111111111' AND b.deleted_at IS NULL;

--@ case: a self join, the child by its parent only
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT a.name, b.name FROM org_customers a JOIN org_customers b ON b.parent_id = a.id WHERE a.organization_id = '11111111-1111-4111-8111-111111111111' AND a.deleted_at IS NULL;

--@ case: nested joins in parentheses
--@ verdict: admit
SELECT o.number, p.name FROM org_orders o JOIN (org_order_items i JOIN org_products p ON p.id = i.product_id AND p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL) ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: nested joins in parentheses, the inner one loose
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, p.name FROM org_orders o JOIN (org_order_items i JOIN org_products p ON p.id = i.product_id) ON i.order_id = o.id AND i.organization_id = '11111111-1111-4111-8111-111111111111' AND i.deleted_at IS NULL WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: a junction between two bound tables
--@ verdict: admit
SELECT p.name, t.label FROM org_products p JOIN org_product_tags pt ON pt.product_id = p.id AND pt.organization_id = p.organization_id JOIN org_tags t ON t.id = pt.tag_id AND t.organization_id = pt.organization_id WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL AND t.deleted_at IS NULL;

--@ case: a junction that is not bound
--@ verdict: refuse unbound-tenant
SELECT p.name, t.label FROM org_products p JOIN org_product_tags pt ON pt.product_id = p.id JOIN org_tags t ON t.id = pt.tag_id WHERE p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL AND t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: LATERAL bound by the outer row
--@ verdict: admit
SELECT o.number, s.remark FROM org_orders o CROSS JOIN LATERAL (SELECT i.remark FROM org_order_items i WHERE i.order_id = o.id AND i.organization_id = o.organization_id AND i.deleted_at IS NULL ORDER BY i.id LIMIT 1) s WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LATERAL by the foreign key only
--@ verdict: refuse unbound-tenant
SELECT o.number, s.remark FROM org_orders o CROSS JOIN LATERAL (SELECT i.remark FROM org_order_items i WHERE i.order_id = o.id AND i.deleted_at IS NULL ORDER BY i.id LIMIT 1) s WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL;

--@ case: LATERAL with LIMIT inside and the predicate outside
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT o.number, s.remark FROM org_orders o CROSS JOIN LATERAL (SELECT i.* FROM org_order_items i WHERE i.order_id = o.id ORDER BY i.quantity DESC LIMIT 1) s WHERE o.organization_id = '11111111-1111-4111-8111-111111111111' AND o.deleted_at IS NULL AND s.organization_id = '11111111-1111-4111-8111-111111111111' AND s.deleted_at IS NULL;

--@ case: NATURAL JOIN with a shared table
--@ verdict: refuse unbound-tenant, visible-deleted
--@ note: a natural join merges columns that only the catalogue knows
SELECT label FROM org_tags NATURAL JOIN memberships WHERE organization_id = '22222222-2222-4222-8222-222222222222';

--@ case: a function in FROM beside a bound table
--@ verdict: admit
SELECT t.label, g FROM org_tags t, generate_series(1, 2) g WHERE t.organization_id = '11111111-1111-4111-8111-111111111111' AND t.deleted_at IS NULL;

--@ case: NATURAL of two tables with soft delete
--@ verdict: admit
SELECT * FROM org_products NATURAL JOIN org_notes WHERE organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL;

--@ case: NATURAL of two tables, not bound
--@ verdict: refuse unbound-tenant
SELECT * FROM org_products NATURAL JOIN org_notes WHERE deleted_at IS NULL;

--@ case: NATURAL of two tables without soft delete
--@ verdict: admit
SELECT key FROM org_settings NATURAL JOIN org_product_tags WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: NATURAL LEFT of two tables
--@ verdict: admit
SELECT s.key, t.tag_id FROM org_settings s NATURAL LEFT JOIN org_product_tags t WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: NATURAL RIGHT, the left column bound
--@ verdict: refuse unbound-tenant
SELECT s.key, t.tag_id FROM org_settings s NATURAL RIGHT JOIN org_product_tags t WHERE s.organization_id = '11111111-1111-4111-8111-111111111111' OR s.key IS NULL;

--@ case: NATURAL FULL of two tables
--@ verdict: admit
SELECT s.key, t.tag_id FROM org_settings s NATURAL FULL JOIN org_product_tags t WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: NATURAL with a table of unknown columns
--@ verdict: refuse unbound-tenant
SELECT key FROM org_settings NATURAL JOIN memberships WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: NATURAL behind USING
--@ verdict: refuse unbound-tenant
SELECT key FROM (org_settings JOIN org_product_tags USING (organization_id)) NATURAL RIGHT JOIN memberships WHERE organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: USING behind NATURAL
--@ verdict: refuse unbound-tenant, visible-deleted
SELECT s.key FROM (org_settings s NATURAL JOIN org_product_tags t) JOIN org_tags g ON g.id = t.tag_id WHERE s.organization_id = '11111111-1111-4111-8111-111111111111';

--@ case: a join with unnest of several parameters
--@ verdict: admit
--@ bind: {11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111111}, {a1000000-0000-4000-8000-000000000001,b1000000-0000-4000-8000-000000000001} -> admit | {11111111-1111-4111-8111-111111111111,22222222-2222-4222-8222-222222222222}, {a1000000-0000-4000-8000-000000000001,b1000000-0000-4000-8000-000000000001} -> refuse foreign-tenant | {11111111-1111-4111-8111-111111111111}, {a1000000-0000-4000-8000-000000000001,b1000000-0000-4000-8000-000000000001} -> admit
SELECT p.name FROM unnest($1::uuid[], $2::uuid[]) AS wanted(organization, id) JOIN org_products p ON p.organization_id = wanted.organization AND p.id = wanted.id WHERE p.deleted_at IS NULL;
