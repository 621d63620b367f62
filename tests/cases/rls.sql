-- The truth: the database of schema.sql, with every guarded table bound to organization A by
-- PostgreSQL itself. Run by the role that owns the tables, after schema.sql. FORCE makes it hold
-- for the owner too, and the tenant is a constant, so that no setting moves it.
-- The policy knows nothing of deleted_at: PostgreSQL would apply it to the rows that a soft delete
-- makes, too.
DO $$
DECLARE guarded regclass;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\_%'
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
      'CREATE POLICY tenant ON %s USING (organization_id = %L) WITH CHECK (organization_id = %2$L)',
      guarded, '11111111-1111-4111-8111-111111111111');
  END LOOP;
END
$$;
