CREATE OR REPLACE FUNCTION tsad.check_range(start_at timestamptz, end_at timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF start_at IS NULL OR end_at IS NULL OR NOT isfinite(start_at) OR NOT isfinite(end_at) OR start_at >= end_at THEN
    RAISE EXCEPTION 'Expected a beginning before its end. Received: % and %.', start_at, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- What no sensor has lived through is a slip of the pen, and years of five digits are no times to Python.
  IF start_at < '1970-01-01 00:00Z' OR end_at > '2100-01-01 00:00Z' THEN
    RAISE EXCEPTION 'Expected times from 1970 to 2100. Received: % and %.', start_at, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
END $$;

COMMENT ON FUNCTION tsad.check_range IS 'Refuses a range that is none, or that lies outside 1970 to 2100.';

REVOKE ALL ON FUNCTION tsad.check_range FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.check_range TO tsad_writer;
