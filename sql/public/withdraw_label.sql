CREATE OR REPLACE FUNCTION tsad.withdraw_label(label_id int, withdrawn_by text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM tsad.check_operator();
  UPDATE tsad.label_record l
  SET withdrawn_at = clock_timestamp(), withdrawn_by = coalesce(nullif(tsad.check_words('name', withdraw_label.withdrawn_by, 250), ''), session_user),
      withdrawn_login = session_user
  WHERE l.label_id = withdraw_label.label_id AND l.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the label_id of a label that holds (see tsad.v_label). Received: %.', label_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN label_id;
END $$;

COMMENT ON FUNCTION tsad.withdraw_label IS 'Takes back a label, whoever set it: trainings learn the range, and nothing is judged by it. To correct one, take it back and add another.';

REVOKE ALL ON FUNCTION tsad.withdraw_label FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.withdraw_label TO tsad_writer, tsad_operator, tsad_reader;
