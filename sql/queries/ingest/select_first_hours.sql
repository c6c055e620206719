-- The first hour with readings of some entities.
SELECT e.entity_id, b.hour_at
FROM unnest(%(entity_ids)s::int[]) AS e(entity_id)
LEFT JOIN LATERAL (SELECT hour_at FROM tsad.reading_block r WHERE r.entity_id = e.entity_id ORDER BY hour_at LIMIT 1) b ON true
