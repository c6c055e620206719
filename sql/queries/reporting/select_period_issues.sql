-- What was not taken from the source as it came in a period, one row per entity, channel and issue, the commonest first.
SELECT coalesce(nullif(entity, ''), '(all)') AS entity, coalesce(nullif(channel, ''), '(all)') AS channel, issue AS verdict,
       sum(n_rows)::bigint AS n_readings, min(hour_at) AS first_at,
       max(hour_at) + interval '1 hour' AS last_at, (array_agg(detail ORDER BY n_rows DESC, hour_at))[1] AS detail
FROM tsad.ingest_issue
WHERE dataset_id = %(dataset_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
GROUP BY ingest_issue.entity, ingest_issue.channel, issue
ORDER BY n_readings DESC, ingest_issue.entity, ingest_issue.channel, issue
