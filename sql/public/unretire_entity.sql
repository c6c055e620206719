CREATE OR REPLACE FUNCTION tsad.unretire_entity(dataset text, entity text, why text, said_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n_withdrawn bigint;
BEGIN
  PERFORM tsad.check_operator();
  IF tsad.check_words('reason', why, 4000) = '' THEN
    RAISE EXCEPTION 'Expected a reason. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE tsad.retirement r
  SET withdrawn_at = clock_timestamp(), withdrawn_why = unretire_entity.why, withdrawn_login = session_user,
      withdrawn_by = coalesce(nullif(tsad.check_words('name', unretire_entity.said_by, 250), ''), session_user)
  FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = unretire_entity.dataset AND e.name = unretire_entity.entity AND r.entity_id = e.entity_id AND r.withdrawn_at IS NULL;
  GET DIAGNOSTICS n_withdrawn = ROW_COUNT;
  IF n_withdrawn = 0 THEN
    RAISE EXCEPTION 'Expected an entity of the dataset % that a person or the inventory retired (see tsad.v_entity). Received: %.', dataset, entity
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN n_withdrawn;
END $$;

COMMENT ON FUNCTION tsad.unretire_entity IS 'Takes back that an entity is gone; how many times that had been said. What the inventory says of it counts again when it changes.';

REVOKE ALL ON FUNCTION tsad.unretire_entity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.unretire_entity TO tsad_writer, tsad_operator, tsad_reader;
