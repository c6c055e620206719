-- Hours in which a sensor was out of order, of some entities.
SELECT DISTINCT ON (entity_id, hour_at) entity_id, hour_at, verdict
FROM tsad.quality
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
  AND verdict IN ('out_of_range', 'unit_jump')
ORDER BY entity_id, hour_at, verdict
