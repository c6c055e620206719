-- Counts what was not taken as it came.
INSERT INTO tsad.ingest_issue (dataset_id, hour_at, entity, channel, issue, n_rows, detail)
SELECT %(dataset_id)s, u.* FROM unnest(%(hour_at)s::timestamptz[], %(entity)s::text[], %(channel)s::text[], %(issue)s::text[],
  %(n_rows)s::bigint[], %(detail)s::text[]) AS u
