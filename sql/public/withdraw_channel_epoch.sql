CREATE OR REPLACE FUNCTION tsad.withdraw_channel_epoch(epoch_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM tsad.check_operator();
  UPDATE tsad.channel_epoch c SET withdrawn_at = clock_timestamp(), withdrawn_login = session_user
  WHERE c.epoch_id = withdraw_channel_epoch.epoch_id AND c.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the epoch_id of a change of a sensor that holds (see tsad.v_channel_epoch). Received: %.', epoch_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN epoch_id;
END $$;

COMMENT ON FUNCTION tsad.withdraw_channel_epoch IS 'Takes back a change of a sensor; the one before it, if there is one, decides again.';

REVOKE ALL ON FUNCTION tsad.withdraw_channel_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.withdraw_channel_epoch TO tsad_writer, tsad_operator, tsad_reader;
