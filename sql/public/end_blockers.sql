CREATE OR REPLACE FUNCTION tsad.end_blockers(waiting_pid int)
RETURNS TABLE (pid int, login text, since timestamptz, is_pipeline boolean, ended boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  blocker record;
BEGIN
  FOR blocker IN
    WITH RECURSIVE chain (pid) AS (
      SELECT unnest(pg_blocking_pids(waiting_pid))
      UNION
      SELECT unnest(pg_blocking_pids(c.pid)) FROM chain c)
    -- Who waits as well is ended by whoever it waits for. A prepared transaction has the number 0 and no session.
    SELECT c.pid, a.usename::text AS login, coalesce(a.xact_start, a.backend_start) AS since, r.oid AS role_id, a.application_name
    FROM chain c LEFT JOIN pg_stat_activity a ON a.pid = c.pid LEFT JOIN pg_roles r ON r.rolname = a.usename
    WHERE cardinality(pg_blocking_pids(c.pid)) = 0
    ORDER BY c.pid
  LOOP
    pid := blocker.pid;
    login := blocker.login;
    since := blocker.since;
    ended := false;
    -- Superusers are members of every role.
    is_pipeline := coalesce(pg_has_role(blocker.role_id, 'tsad_writer', 'MEMBER') AND blocker.application_name = 'tsad', false);
    IF NOT pg_has_role(blocker.role_id, 'tsad_writer', 'MEMBER')
       AND (pg_has_role(blocker.role_id, 'tsad_reader', 'MEMBER') OR pg_has_role(blocker.role_id, 'tsad_operator', 'MEMBER')) THEN
      BEGIN
        ended := pg_terminate_backend(blocker.pid);
      EXCEPTION WHEN insufficient_privilege THEN
        ended := false;
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

COMMENT ON FUNCTION tsad.end_blockers IS 'Ends the sessions of members of tsad_reader and tsad_operator for which a session of the pipeline waits, and names all others. Only the pipeline calls it, when it has waited for half a minute.';

REVOKE ALL ON FUNCTION tsad.end_blockers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.end_blockers TO tsad_writer;
