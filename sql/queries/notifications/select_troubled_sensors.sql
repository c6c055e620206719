-- Sensors that were out of order for three hours within a range, up to its last day, and the message that told of each; NULL: nobody was told.
SELECT f.entity_id, e.name AS entity, f.channel_id, c.name AS channel, f.verdict, f.since_at, f.until_at,
       (SELECT m.trouble_id FROM tsad.troubled_sensor m
        WHERE m.entity_id = f.entity_id AND m.channel_id = f.channel_id AND m.until_at >= f.since_at - interval '7 days'
        ORDER BY m.until_at DESC LIMIT 1) AS trouble_id
FROM (
  SELECT q.entity_id, q.channel_id, (array_agg(q.verdict ORDER BY q.hour_at DESC, q.verdict))[1] AS verdict,
         min(q.hour_at) AS since_at, max(q.hour_at) + interval '1 hour' AS until_at
  FROM tsad.quality q JOIN tsad.entity e USING (entity_id)
  WHERE e.dataset_id = %(dataset_id)s AND q.verdict = ANY(%(verdicts)s::text[]) AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s
  GROUP BY q.entity_id, q.channel_id
  HAVING max(q.hour_at) - min(q.hour_at) >= interval '2 hours' AND max(q.hour_at) >= %(end_at)s::timestamptz - interval '1 day') f
JOIN tsad.entity e USING (entity_id)
JOIN tsad.channel c USING (channel_id)
ORDER BY 2, 4
