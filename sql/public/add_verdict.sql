CREATE OR REPLACE FUNCTION tsad.add_verdict(dataset text, entity text, start_at timestamptz, end_at timestamptz, verdict text, said_by text DEFAULT NULL, note text DEFAULT '', channel text DEFAULT NULL, incident_id text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  machine record;
  sensor  int;
  new_id  bigint;
BEGIN
  PERFORM tsad.check_operator();
  SELECT e.entity_id, e.dataset_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = add_verdict.dataset AND e.name = add_verdict.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM tsad.check_range(start_at, end_at);
  IF verdict IS NULL OR verdict NOT IN ('confirmed', 'expected', 'false_alarm', 'new_normal', 'sensor_fault') THEN
    RAISE EXCEPTION 'Expected confirmed, expected, false_alarm, new_normal or sensor_fault. Received: %.', verdict
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF channel IS NOT NULL THEN
    SELECT c.channel_id INTO sensor FROM tsad.channel c WHERE c.dataset_id = machine.dataset_id AND c.name = add_verdict.channel;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'Expected a channel of the dataset. Received: %.', channel USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;
  PERFORM tsad.check_words('incident_id', incident_id, 250);
  INSERT INTO tsad.verdict (entity_id, start_at, end_at, incident_id, verdict, channel_id, said_by, note)
  VALUES (machine.entity_id, add_verdict.start_at, add_verdict.end_at, add_verdict.incident_id, add_verdict.verdict, sensor,
          coalesce(nullif(tsad.check_words('name', add_verdict.said_by, 250), ''), session_user), tsad.check_words('note', add_verdict.note, 4000))
  RETURNING verdict_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.add_verdict IS 'Says the same of a range that no incident tells, such as a slow shift that is the new normal.';

REVOKE ALL ON FUNCTION tsad.add_verdict FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.add_verdict TO tsad_writer, tsad_operator, tsad_reader;
