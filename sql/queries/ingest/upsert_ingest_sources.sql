-- Writes what each source had of the hours, in place of what was known of them.
WITH gone AS (
  DELETE FROM tsad.ingest_source AS s WHERE s.dataset_id = %(dataset_id)s AND s.hour_at = ANY(%(hour_at)s::timestamptz[])
    AND s.source <> ALL(%(source)s::text[]))
INSERT INTO tsad.ingest_source AS s (dataset_id, hour_at, source, n_rows, newest_at, updated_until)
SELECT %(dataset_id)s, u.* FROM unnest(%(hour_at)s::timestamptz[], %(source)s::text[], %(n_rows)s::bigint[],
  %(newest_at)s::timestamptz[], %(updated_until)s::timestamptz[]) AS u
ON CONFLICT (dataset_id, hour_at, source) DO UPDATE
  SET n_rows = EXCLUDED.n_rows, newest_at = EXCLUDED.newest_at, updated_until = EXCLUDED.updated_until
