CREATE OR REPLACE FUNCTION tsad.set_verdict(incident_id text, verdict text, said_by text DEFAULT NULL, note text DEFAULT '', channel text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  target record;
BEGIN
  PERFORM tsad.check_operator();
  -- What lasts is judged as a whole, whichever of its parts is named.
  WITH RECURSIVE back AS (
    SELECT i.incident_id, i.continues FROM tsad.incident i WHERE i.incident_id = set_verdict.incident_id
    UNION
    SELECT f.incident_id, f.continues FROM back b JOIN tsad.incident f ON f.incident_id = b.continues
    WHERE f.superseded_by IS NULL AND f.withdrawn_at IS NULL),
  part AS (
    SELECT b.incident_id FROM back b
    UNION
    SELECT n.incident_id FROM part p JOIN tsad.incident n ON n.continues = p.incident_id
    WHERE n.superseded_by IS NULL AND n.withdrawn_at IS NULL)
  SELECT d.name AS dataset, e.name AS entity, min(i.started_at) AS started_at, max(i.last_flag_at) + make_interval(secs => d.step_s) AS end_at INTO target
  FROM part p JOIN tsad.incident i USING (incident_id) JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
  GROUP BY d.dataset_id, e.entity_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the incident_id of an incident (see tsad.v_incident). Received: %.', incident_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN tsad.add_verdict(target.dataset, target.entity, target.started_at, target.end_at, verdict, said_by, note, channel, incident_id);
END $$;

COMMENT ON FUNCTION tsad.set_verdict IS 'Says what an incident, with all of its parts, was: confirmed, expected, false_alarm, new_normal or sensor_fault. The latest verdict counts; confirmed, expected and sensor_fault are kept out of trainings, false_alarm and new_normal are learned.';

REVOKE ALL ON FUNCTION tsad.set_verdict FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_verdict TO tsad_writer, tsad_operator, tsad_reader;
