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
      SELECT unnest(pg_blocking_pids(c.pid)) FROM chain c),
    -- Superusers are members of every role.
    person AS (
      SELECT a.pid FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
      WHERE NOT pg_has_role(r.oid, 'tsad_writer', 'MEMBER')
        AND (pg_has_role(r.oid, 'tsad_reader', 'MEMBER') OR pg_has_role(r.oid, 'tsad_operator', 'MEMBER'))),
    -- Who waits as well is ended by whoever it waits for; but a person who waits, for an owner's dump perhaps, has us wait behind.
    blocking AS (
      SELECT c.pid FROM chain c WHERE cardinality(pg_blocking_pids(c.pid)) = 0 OR c.pid IN (SELECT p.pid FROM person p)
      UNION
      -- Advisory locks in this database are the pipeline's: whoever has one of them has us wait for the others next.
      SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database JOIN person p ON p.pid = l.pid
      WHERE l.locktype = 'advisory' AND d.datname = current_database()
        AND EXISTS (SELECT FROM chain c JOIN person USING (pid))
        AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = waiting_pid AND w.locktype = 'advisory' AND NOT w.granted))
    -- A prepared transaction has the number 0 and no session.
    SELECT b.pid, a.usename::text AS login, coalesce(a.xact_start, a.backend_start) AS since, r.oid AS role_id, a.application_name,
           p.pid IS NOT NULL AS is_person
    FROM blocking b LEFT JOIN pg_stat_activity a ON a.pid = b.pid LEFT JOIN pg_roles r ON r.rolname = a.usename
    LEFT JOIN person p ON p.pid = b.pid
    ORDER BY b.pid
  LOOP
    pid := blocker.pid;
    login := blocker.login;
    since := blocker.since;
    ended := false;
    is_pipeline := coalesce(pg_has_role(blocker.role_id, 'tsad_writer', 'MEMBER') AND blocker.application_name = 'tsad', false);
    IF blocker.is_person THEN
      BEGIN
        ended := pg_terminate_backend(blocker.pid);
      EXCEPTION WHEN insufficient_privilege THEN
        ended := false;
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

COMMENT ON FUNCTION tsad.end_blockers IS 'Ends the sessions of members of tsad_reader and tsad_operator for which a session of the pipeline waits, and names all others. Only the pipeline calls it, when it has waited for half a minute, or 10 s for an advisory lock.';

REVOKE ALL ON FUNCTION tsad.end_blockers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.end_blockers TO tsad_writer;
