-- Entities of an episode outside of experience.
INSERT INTO tsad.outside_entity (episode_id, entity_id, since_at)
SELECT %(episode_id)s::bigint, entity_id, since_at
FROM unnest(%(entity_id)s::int[], %(since_at)s::timestamptz[]) AS u(entity_id, since_at)
ON CONFLICT DO NOTHING
