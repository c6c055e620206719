CREATE OR REPLACE FUNCTION tsad.check_operator() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_has_role(session_user, 'tsad_operator', 'MEMBER') AND NOT pg_has_role(session_user, 'tsad_writer', 'MEMBER') THEN
    RAISE EXCEPTION 'Expected a login with the role tsad_operator. Received: %, which has not. The warehouse''s owner gives it with: tsad migrate --operator %', session_user, session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

COMMENT ON FUNCTION tsad.check_operator IS 'Refuses a login that only reads, and names the role that it needs.';

REVOKE ALL ON FUNCTION tsad.check_operator FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.check_operator TO tsad_writer;
