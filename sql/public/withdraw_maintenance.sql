CREATE OR REPLACE FUNCTION tsad.withdraw_maintenance(window_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM tsad.check_operator();
  UPDATE tsad.maintenance_window w SET withdrawn_at = clock_timestamp(), withdrawn_login = session_user
  WHERE w.window_id = withdraw_maintenance.window_id AND w.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the window_id of a maintenance window that holds (see tsad.v_maintenance). Received: %.', window_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN window_id;
END $$;

COMMENT ON FUNCTION tsad.withdraw_maintenance IS 'Takes back a maintenance window; its incidents count again from the next run on.';

REVOKE ALL ON FUNCTION tsad.withdraw_maintenance FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.withdraw_maintenance TO tsad_writer, tsad_operator, tsad_reader;
