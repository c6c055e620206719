-- Tells of series that are new, renamed or gone, in the hour that is read next; what is told of that hour already is added up.
INSERT INTO tsad.ingest_issue AS i (dataset_id, hour_at, entity, channel, issue, n_rows, detail)
SELECT %(dataset_id)s, u.* FROM unnest(%(hour_at)s::timestamptz[], %(entity)s::text[], %(channel)s::text[], %(issue)s::text[],
  %(n_rows)s::bigint[], %(detail)s::text[]) AS u
ON CONFLICT (dataset_id, hour_at, entity, channel, issue) DO UPDATE SET n_rows = i.n_rows + excluded.n_rows, detail = excluded.detail
