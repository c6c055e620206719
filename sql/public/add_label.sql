CREATE OR REPLACE FUNCTION tsad.add_label(dataset text, entity text, start_at timestamptz, end_at timestamptz, kind text DEFAULT 'anomaly', note text DEFAULT '', origin text DEFAULT 'person')
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  machine int;
  new_id  int;
BEGIN
  PERFORM tsad.check_operator();
  SELECT e.entity_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = add_label.dataset AND e.name = add_label.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM tsad.check_range(start_at, end_at);
  IF origin IS NULL OR origin NOT IN ('person', 'file') THEN
    RAISE EXCEPTION 'Expected the origin person or file. Received: %.', origin USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.label_record AS l (entity_id, start_at, end_at, kind, origin, note)
  VALUES (machine, add_label.start_at, add_label.end_at, coalesce(nullif(tsad.check_words('kind', add_label.kind, 250), ''), 'anomaly'), add_label.origin,
          tsad.check_words('note', add_label.note, 4000))
  ON CONFLICT (entity_id, start_at, end_at, origin) WHERE withdrawn_at IS NULL
  DO UPDATE SET kind = EXCLUDED.kind, note = EXCLUDED.note, login = session_user
  RETURNING l.label_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.add_label IS 'Says that an entity had a known anomaly in [start_at, end_at): kept out of trainings, and a test for models. The same range again changes kind and note.';

REVOKE ALL ON FUNCTION tsad.add_label FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.add_label TO tsad_writer, tsad_operator, tsad_reader;
