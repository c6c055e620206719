-- Bounds what logins that read or give verdicts may use up of a server that was made for this warehouse alone: temporary tables, large objects,
-- advisory locks, sort files and connections. A superuser runs it in the warehouse's database; again does no harm, and bounds the
-- connections of logins that came since. Sort files and idle transactions are bounded for every login that will ever come.
DO $$
DECLARE
  place   text := current_database();
  keeper  regrole := (SELECT datdba FROM pg_database WHERE datname = current_database());
  routine regprocedure;
  login   regrole;
BEGIN
  -- One after the other: the same row cannot be changed by two at once.
  PERFORM pg_advisory_xact_lock(7105002);
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', place);
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO tsad_writer', place);
  FOR routine IN
    SELECT p.oid FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_' OR p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite'))
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tsad_writer, %s', routine, keeper);
  END LOOP;
  EXECUTE format('ALTER DATABASE %I SET temp_file_limit = ''1GB''', place);
  EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''10min''', place);
  FOR login IN
    SELECT r.oid FROM pg_roles r WHERE r.rolcanlogin AND (r.oid = keeper OR pg_has_role(r.oid, 'tsad_writer', 'MEMBER'))
  LOOP
    EXECUTE format('ALTER ROLE %s IN DATABASE %I SET temp_file_limit = -1', login, place);
    EXECUTE format('ALTER ROLE %s IN DATABASE %I SET idle_in_transaction_session_timeout = 0', login, place);
  END LOOP;
  FOR login IN
    SELECT r.oid FROM pg_roles r
    WHERE r.rolcanlogin AND r.rolconnlimit < 0 AND NOT pg_has_role(r.oid, 'tsad_writer', 'MEMBER') AND pg_has_role(r.oid, 'tsad_reader', 'MEMBER')
  LOOP
    EXECUTE format('ALTER ROLE %s CONNECTION LIMIT 20', login);
  END LOOP;
END $$;
