CREATE OR REPLACE FUNCTION tsad.ensure_partition(parent text, month_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  start_at timestamptz := date_trunc('month', month_at, 'UTC');
  end_at   timestamptz := (start_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
  child    text := format('%s_%s', parent, to_char(start_at AT TIME ZONE 'UTC', 'YYYY_MM'));
BEGIN
  IF parent NOT IN ('reading_block', 'score_block') THEN
    RAISE EXCEPTION 'Expected reading_block or score_block. Received: %.', parent;
  END IF;
  IF to_regclass(format('tsad.%I', child)) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('tsad.partition'));
  -- Not to_regclass again: it remembers that there was none, while somebody else made one before we had the lock.
  IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'tsad'::regnamespace AND relname = child) THEN RETURN; END IF;
  -- PARTITION OF would lock the parent against readers: two writers that have read it would wait for each other for ever.
  EXECUTE format('CREATE TABLE tsad.%I (LIKE tsad.%I INCLUDING ALL)', child, parent);
  EXECUTE format('ALTER TABLE tsad.%I ATTACH PARTITION tsad.%I FOR VALUES FROM (%L) TO (%L)', parent, child, start_at, end_at);
END $$;

COMMENT ON FUNCTION tsad.ensure_partition IS 'Makes the month''s partition of reading_block or score_block when it is not there.';

REVOKE ALL ON FUNCTION tsad.ensure_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.ensure_partition TO tsad_writer;
