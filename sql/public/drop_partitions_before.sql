CREATE OR REPLACE FUNCTION tsad.drop_partitions_before(parent text, horizon_at timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  child record;
BEGIN
  IF parent NOT IN ('reading_block', 'score_block') THEN
    RAISE EXCEPTION 'Expected reading_block or score_block. Received: %.', parent;
  END IF;
  FOR child IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(format('tsad.%I', parent))
      AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= horizon_at AT TIME ZONE 'UTC'
    ORDER BY 1
  LOOP
    BEGIN
      EXECUTE format('DROP TABLE tsad.%I', child.relname);
      RETURN NEXT child.relname;
    EXCEPTION WHEN lock_not_available THEN
      -- Somebody reads. Whoever comes after us would wait for them, too, and so would we for every other month: all are left to the next run.
      RETURN;
    END;
  END LOOP;
END $$;

COMMENT ON FUNCTION tsad.drop_partitions_before IS 'Retention: drops whole months that end before the horizon. Only tsad.maintain calls it, and only when retention is configured. A month that somebody reads for longer than two seconds is left to the next call.';

REVOKE ALL ON FUNCTION tsad.drop_partitions_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.drop_partitions_before TO tsad_writer;
