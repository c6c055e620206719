-- Writes the ledger, and by what settings hours were read; what was read once stays read. NULL settings: it keeps those that it had.
WITH noted AS (
  INSERT INTO tsad.read_settings (dataset_id, digest, settings)
  VALUES (%(dataset_id)s, %(digest)s::text, %(said)s::jsonb) ON CONFLICT (dataset_id, digest) DO NOTHING)
INSERT INTO tsad.ingest_hour AS h (dataset_id, hour_at, read_until, read_at, n_rows, n_readings, newest_at, lag_s, updated_until, settings,
  asked_from, asked_until)
SELECT %(dataset_id)s, u.* FROM unnest(%(hour_at)s::timestamptz[], %(read_until)s::timestamptz[], %(read_at)s::timestamptz[],
  %(n_rows)s::bigint[], %(n_readings)s::bigint[], %(newest_at)s::timestamptz[], %(lag_s)s::float8[], %(updated_until)s::timestamptz[],
  %(settings)s::text[], %(asked_from)s::timestamptz[], %(asked_until)s::timestamptz[]) AS u
ON CONFLICT (dataset_id, hour_at) DO UPDATE
  SET read_until = greatest(h.read_until, EXCLUDED.read_until), read_at = EXCLUDED.read_at, n_rows = EXCLUDED.n_rows,
      n_readings = EXCLUDED.n_readings, newest_at = EXCLUDED.newest_at, lag_s = coalesce(EXCLUDED.lag_s, h.lag_s),
      updated_until = EXCLUDED.updated_until, settings = coalesce(EXCLUDED.settings, h.settings),
      asked_from = EXCLUDED.asked_from, asked_until = EXCLUDED.asked_until
