-- Hours in which a sensor was out of order, of some entities; what a person said of a changed sensor explains it.
SELECT DISTINCT ON (q.entity_id, q.hour_at) q.entity_id, q.hour_at, q.verdict
FROM tsad.quality q
WHERE q.entity_id = ANY(%(entity_ids)s::int[]) AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s
  AND q.verdict IN ('out_of_range', 'unit_jump')
  AND NOT EXISTS (
    SELECT FROM tsad.channel_epoch x
    WHERE x.entity_id = q.entity_id AND x.channel_id = q.channel_id AND x.withdrawn_at IS NULL
      AND x.from_at < q.hour_at + interval '1 hour'
      AND (q.verdict = 'out_of_range' OR x.from_at > q.hour_at - interval '8 days'))
ORDER BY q.entity_id, q.hour_at, q.verdict
