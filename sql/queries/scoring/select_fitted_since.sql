-- Since which hour entities that a model has no scale for have the channels of their dataset; NULL: not fitted.
WITH scaled AS MATERIALIZED (
  SELECT jsonb_array_elements_text(card -> 'entities_with_own_scale') AS name
  FROM tsad.model
  WHERE model_id = %(model_id)s
)
SELECT e.entity_id, c.name, f.first_hour_at
FROM tsad.model m
JOIN tsad.entity e ON e.entity_id = ANY(%(entity_ids)s::int[])
JOIN tsad.channel c ON c.dataset_id = e.dataset_id
LEFT JOIN tsad.fitted_channel f ON f.entity_id = e.entity_id AND f.channel_id = c.channel_id
WHERE m.model_id = %(model_id)s AND m.card ? 'entities_with_own_scale' AND NOT EXISTS (SELECT FROM scaled s WHERE s.name = e.name)
ORDER BY e.entity_id, c.channel_id
