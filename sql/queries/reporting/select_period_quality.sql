-- Sensor trouble of a period, one row per sensor and verdict, the most lasting first.
SELECT e.name AS entity, c.name AS channel, q.verdict, sum(q.n_steps)::bigint AS n_readings, min(q.hour_at) AS first_at,
       max(q.hour_at) + interval '1 hour' AS last_at, (array_agg(q.detail ORDER BY q.n_steps DESC, q.hour_at))[1] AS detail
FROM tsad.quality q
JOIN tsad.entity e USING (entity_id)
JOIN tsad.channel c USING (channel_id)
WHERE e.dataset_id = %(dataset_id)s AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s
GROUP BY e.name, c.name, q.verdict
ORDER BY n_readings DESC, 1, 2, 3
