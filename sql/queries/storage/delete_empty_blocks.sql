-- Removes blocks, element by element, that have nothing in them any more.
DELETE FROM tsad.reading_block b
USING unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS g(entity_id, hour_at)
WHERE b.entity_id = g.entity_id AND b.hour_at = g.hour_at
