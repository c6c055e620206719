CREATE OR REPLACE FUNCTION tsad.set_channel_epoch(dataset text, entity text, channel text, from_at timestamptz, kind text, reason text, scale double precision DEFAULT NULL, "offset" double precision DEFAULT NULL, said_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  machine     record;
  sensor      int;
  is_declared boolean := scale IS NOT NULL OR "offset" IS NOT NULL;
  new_id      bigint;
BEGIN
  PERFORM tsad.check_operator();
  SELECT e.entity_id, e.dataset_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = set_channel_epoch.dataset AND e.name = set_channel_epoch.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT c.channel_id INTO sensor FROM tsad.channel c WHERE c.dataset_id = machine.dataset_id AND c.name = set_channel_epoch.channel;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected a channel of the dataset. Received: %.', channel USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF from_at IS NULL OR NOT isfinite(from_at) OR from_at NOT BETWEEN '1970-01-01 00:00Z' AND '2100-01-01 00:00Z' THEN
    RAISE EXCEPTION 'Expected the time from which on the sensor is another one, from 1970 to 2100. Received: %.', from_at
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kind IS NULL OR kind NOT IN ('replaced', 'recalibrated', 'unit') THEN
    RAISE EXCEPTION 'Expected replaced, recalibrated or unit. Received: %.', kind USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kind = 'unit' AND NOT is_declared THEN
    RAISE EXCEPTION 'Expected the scale and offset of the new unit. Received: none.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF is_declared AND (abs(coalesce(scale, 1)) NOT BETWEEN 1e-12 AND 1e12 OR abs(coalesce("offset", 0)) NOT BETWEEN 0 AND 1e15) THEN
    RAISE EXCEPTION 'Expected a scale from 1e-12 to 1e12, positive or negative, and an offset up to 1e15. Received: % and %.', scale, "offset"
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF tsad.check_words('reason', reason, 4000) = '' THEN
    RAISE EXCEPTION 'Expected a reason. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.channel_epoch (entity_id, channel_id, kind, from_at, declared, scale, "offset", usable_at, reason, said_by)
  VALUES (machine.entity_id, sensor, set_channel_epoch.kind, set_channel_epoch.from_at, is_declared,
          CASE WHEN is_declared THEN coalesce(set_channel_epoch.scale, 1) END,
          CASE WHEN is_declared THEN coalesce(set_channel_epoch."offset", 0) END,
          CASE WHEN is_declared THEN set_channel_epoch.from_at END,
          set_channel_epoch.reason, coalesce(nullif(tsad.check_words('name', set_channel_epoch.said_by, 250), ''), session_user))
  RETURNING epoch_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.set_channel_epoch IS 'Says that a sensor was replaced, recalibrated or set to another unit at from_at. With scale or offset: former terms = value * scale + offset from then on. Without: the channel is unknown until both are learned from its first running hours.';

REVOKE ALL ON FUNCTION tsad.set_channel_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_channel_epoch TO tsad_writer, tsad_operator, tsad_reader;
