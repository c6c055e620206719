CREATE OR REPLACE FUNCTION tsad.withdraw_verdict(incident_id text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  taken_back bigint;
BEGIN
  PERFORM tsad.check_operator();
  UPDATE tsad.verdict w SET withdrawn_at = clock_timestamp(), withdrawn_login = session_user
  WHERE w.verdict_id = (
    SELECT v.verdict_id FROM tsad.verdict v JOIN tsad.incident i USING (entity_id)
    WHERE i.incident_id = withdraw_verdict.incident_id AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
      AND v.withdrawn_at IS NULL
    ORDER BY v.verdict_id DESC LIMIT 1)
  RETURNING w.verdict_id INTO taken_back;
  IF taken_back IS NULL THEN
    RAISE EXCEPTION 'Expected an incident with a verdict. Received: %.', incident_id USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN taken_back;
END $$;

COMMENT ON FUNCTION tsad.withdraw_verdict IS 'Takes back the verdict on an incident that counts; the one before it, if there is one, counts again.';

REVOKE ALL ON FUNCTION tsad.withdraw_verdict FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.withdraw_verdict TO tsad_writer, tsad_operator, tsad_reader;
