CREATE OR REPLACE FUNCTION tsad.retire_entity(dataset text, entity text, why text, from_at timestamptz DEFAULT NULL, said_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  machine record;
  gone_at timestamptz;
  who     text;
  new_id  bigint;
BEGIN
  PERFORM tsad.check_operator();
  SELECT e.entity_id,
         (SELECT max(upper(l.hours)) FROM tsad.entity_life l WHERE l.entity_id = e.entity_id) AS last_at,
         (SELECT h.read_until FROM tsad.ingest_hour h WHERE h.dataset_id = e.dataset_id ORDER BY h.hour_at DESC LIMIT 1) AS until
  INTO machine
  FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = retire_entity.dataset AND e.name = retire_entity.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF tsad.check_words('reason', why, 4000) = '' THEN
    RAISE EXCEPTION 'Expected a reason. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Another reason for what holds does not change since when it is gone.
  gone_at := coalesce(from_at,
    (SELECT min(r.from_at) FROM tsad.retirement r
     WHERE r.entity_id = machine.entity_id AND r.origin = 'person' AND r.withdrawn_at IS NULL
       AND coalesce(machine.last_at - interval '1 hour' < r.from_at, true)),
    machine.until, clock_timestamp());
  IF NOT isfinite(gone_at) OR gone_at NOT BETWEEN '1970-01-01 00:00Z' AND '2100-01-01 00:00Z'
     OR machine.last_at - interval '1 hour' >= gone_at THEN
    RAISE EXCEPTION 'Expected a time after the last rows of %, and before 2100. Received: %, with rows up to %.', entity, gone_at, machine.last_at
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  who := coalesce(nullif(tsad.check_words('name', retire_entity.said_by, 250), ''), session_user);
  -- What was said before stays, with its reason, as withdrawn.
  UPDATE tsad.retirement r
  SET withdrawn_at = clock_timestamp(), withdrawn_by = who, withdrawn_why = 'another reason was given', withdrawn_login = session_user
  WHERE r.entity_id = machine.entity_id AND r.origin = 'person' AND r.withdrawn_at IS NULL;
  INSERT INTO tsad.retirement AS r (entity_id, from_at, origin, why, said_by)
  VALUES (machine.entity_id, gone_at, 'person', retire_entity.why, who)
  RETURNING r.retirement_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.retire_entity IS 'Says that an entity is gone for good, by default from where its source has been read up to: it is no longer counted as silent. It is alive again with its next rows.';

REVOKE ALL ON FUNCTION tsad.retire_entity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.retire_entity TO tsad_writer, tsad_operator, tsad_reader;
