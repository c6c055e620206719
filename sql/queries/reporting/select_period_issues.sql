-- What was not taken from the source as it came in a period, one row per entity, channel and issue, the commonest first.
SELECT entity, channel, issue, sum(n_rows)::bigint AS n_rows, min(hour_at) AS first_at,
       max(hour_at) + interval '1 hour' AS last_at, (array_agg(detail ORDER BY n_rows DESC, hour_at))[1] AS detail
FROM tsad.ingest_issue
WHERE dataset_id = %(dataset_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
GROUP BY entity, channel, issue
ORDER BY n_rows DESC, 1, 2, 3
