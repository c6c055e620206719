-- Entities of a silence.
INSERT INTO tsad.silent_entity (silence_id, entity_id, since_at)
SELECT %(silence_id)s::bigint, entity_id, since_at
FROM unnest(%(entity_id)s::int[], %(since_at)s::timestamptz[]) AS u(entity_id, since_at)
