-- What an INSERT that does not name the organization needs where no guard puts it in.
DO $$
DECLARE guarded regclass;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.relname LIKE 'org\_%'
  LOOP
    EXECUTE format(
      'ALTER TABLE %s ALTER organization_id SET DEFAULT current_setting(''app.organization_id'')::uuid', guarded);
  END LOOP;
END
$$;
