-- Scales of the entities that a model has none for, by entity and channel, and from when on they may be used.
SELECT s.entity_id, s.usable_at, c.name, u.center, u.scale
FROM tsad.entity_scale s
JOIN tsad.entity e USING (entity_id)
JOIN tsad.model m ON m.model_id = %(model_id)s
CROSS JOIN LATERAL unnest(s.channel_ids, s.centers, s.scales) WITH ORDINALITY AS u(channel_id, center, scale, i)
JOIN tsad.channel c ON c.channel_id = u.channel_id
WHERE s.entity_id = ANY(%(entity_ids)s::int[]) AND s.usable_at IS NOT NULL AND u.center <> 'NaN'
  AND m.card ? 'entities_with_own_scale'
  AND NOT m.card -> 'entities_with_own_scale' ? e.name
ORDER BY s.entity_id, u.i
