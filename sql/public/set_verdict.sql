CREATE OR REPLACE FUNCTION tsad.set_verdict(incident_id text, verdict text, said_by text DEFAULT NULL, note text DEFAULT '', channel text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  target record;
BEGIN
  PERFORM tsad.check_operator();
  SELECT d.name AS dataset, e.name AS entity, i.started_at, i.last_flag_at + make_interval(secs => d.step_s) AS end_at INTO target
  FROM tsad.incident i JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
  WHERE i.incident_id = set_verdict.incident_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the incident_id of an incident (see tsad.v_incident). Received: %.', incident_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN tsad.add_verdict(target.dataset, target.entity, target.started_at, target.end_at, verdict, said_by, note, channel, incident_id);
END $$;

COMMENT ON FUNCTION tsad.set_verdict IS 'Says what an incident was: confirmed, expected, false_alarm, new_normal or sensor_fault. The latest verdict counts; confirmed, expected and sensor_fault are kept out of trainings, false_alarm and new_normal are learned.';

REVOKE ALL ON FUNCTION tsad.set_verdict FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_verdict TO tsad_writer, tsad_operator, tsad_reader;
