-- Clears what was said of counters in hours of entities that are read again.
DELETE FROM tsad.quality q
USING unnest(%(entity_ids)s::int[], %(hours)s::timestamptz[]) AS again (entity_id, hour_at)
WHERE q.entity_id = again.entity_id AND q.hour_at = again.hour_at AND q.verdict = ANY(%(marks)s::text[])
