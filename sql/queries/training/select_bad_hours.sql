-- Hours in which sensors were out of order, of some entities; what a person said of a changed sensor explains it.
SELECT DISTINCT ON (q.entity_id, q.hour_at, c.name) q.entity_id, q.hour_at, q.verdict, c.name AS channel
FROM tsad.quality q JOIN tsad.channel c USING (channel_id)
WHERE q.entity_id = ANY(%(entity_ids)s::int[]) AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s
  AND q.verdict IN ('out_of_range', 'unit_jump')
  AND NOT EXISTS (
    SELECT FROM tsad.channel_epoch x
    WHERE x.entity_id = q.entity_id AND x.channel_id = q.channel_id AND x.withdrawn_at IS NULL
      AND x.from_at < q.hour_at + interval '1 hour'
      AND (q.verdict = 'out_of_range' OR x.from_at > q.hour_at - interval '29 days'))
ORDER BY q.entity_id, q.hour_at, c.name, q.verdict
