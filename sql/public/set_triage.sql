CREATE OR REPLACE FUNCTION tsad.set_triage(incident_id text, taken_by text DEFAULT NULL, snoozed_until timestamptz DEFAULT NULL, said_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  target record;
  new_id bigint;
BEGIN
  PERFORM tsad.check_operator();
  SELECT i.entity_id, i.started_at, i.last_flag_at + make_interval(secs => d.step_s) AS end_at INTO target
  FROM tsad.incident i JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
  WHERE i.incident_id = set_triage.incident_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the incident_id of an incident (see tsad.v_incident). Received: %.', incident_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF snoozed_until > clock_timestamp() + interval '31 days' THEN
    RAISE EXCEPTION 'Expected a time within 31 days; what lasts longer is a maintenance window or a verdict. Received: %.', snoozed_until
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.triage (entity_id, incident_id, start_at, end_at, taken_by, snoozed_until, said_by)
  VALUES (target.entity_id, set_triage.incident_id, target.started_at, target.end_at, nullif(tsad.check_words('name', set_triage.taken_by, 250), ''),
          set_triage.snoozed_until, coalesce(nullif(tsad.check_words('name', set_triage.said_by, 250), ''), session_user))
  RETURNING triage_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.set_triage IS 'Says who has an incident in hand, and until when it is snoozed; both NULL: nobody, and it is not. The latest word counts.';

REVOKE ALL ON FUNCTION tsad.set_triage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_triage TO tsad_writer, tsad_operator, tsad_reader;
