-- The truth: after ../clients/drizzle/schema.sql, each guarded table shows the rows of the session's
-- organization that are not deleted, by PostgreSQL itself. FORCE makes it hold for the owner too.
-- WITH CHECK does not speak of deleted_at, but PostgreSQL holds a changed row against USING as well,
-- so a soft delete fails here: the programs do without.
DO $$
DECLARE
  guarded regclass;
  alive text;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.relname LIKE 'org\_%'
  LOOP
    alive := CASE WHEN guarded = 'org_product_tags'::regclass THEN 'true' ELSE 'deleted_at IS NULL' END;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
      'CREATE POLICY tenant ON %s USING (organization_id = current_setting(''app.organization_id'')::uuid AND %s) '
      'WITH CHECK (organization_id = current_setting(''app.organization_id'')::uuid)', guarded, alive);
  END LOOP;
END
$$;
