-- What a superuser should still run, a statement a row, so that no login uses up the server or holds up the pipeline.
SELECT 'GRANT pg_signal_backend, pg_read_all_stats TO ' || quote_ident(current_user) AS statement
WHERE NOT pg_has_role(current_user, 'pg_signal_backend', 'USAGE')
UNION ALL
SELECT 'REVOKE TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC; GRANT TEMPORARY ON DATABASE '
       || quote_ident(current_database()) || ' TO tsad_writer'
WHERE has_database_privilege('tsad_reader', current_database(), 'TEMPORARY')
UNION ALL
SELECT 'REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC'
WHERE has_function_privilege('tsad_reader', 'lo_create(oid)', 'EXECUTE')
UNION ALL
SELECT format('ALTER DATABASE %%I SET %%s', current_database(), bound.setting)
FROM (VALUES ('temp_file_limit', 'temp_file_limit = ''1GB'''),
             ('idle_in_transaction_session_timeout', 'idle_in_transaction_session_timeout = ''10min''')) AS bound(name, setting)
WHERE NOT EXISTS (
  SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS said
  WHERE d.datname = current_database() AND s.setrole = 0 AND split_part(said, '=', 1) = bound.name)
UNION ALL
(SELECT 'REVOKE EXECUTE ON FUNCTION ' || f.names || ' FROM PUBLIC; GRANT EXECUTE ON FUNCTION ' || f.names || ' TO tsad_writer, '
        || quote_ident(current_user)
 FROM (
   SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) AS names FROM pg_proc p
   WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ '^pg_(try_)?advisory_(xact_)?lock'
     AND has_function_privilege('tsad_reader', p.oid, 'EXECUTE')) f
 WHERE f.names IS NOT NULL)
UNION ALL
(SELECT 'ALTER ROLE ' || quote_ident(r.rolname) || ' CONNECTION LIMIT 20' FROM pg_roles r
 WHERE r.rolcanlogin AND r.rolconnlimit < 0 AND NOT r.rolsuper AND NOT pg_has_role(r.oid, 'tsad_writer', 'MEMBER')
   AND pg_has_role(r.oid, 'tsad_reader', 'MEMBER')
 ORDER BY r.rolname)
