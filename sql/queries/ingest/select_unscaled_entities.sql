-- Entities of a dataset that one of its champions has no scale for, and what was learned of them so far.
WITH champion AS MATERIALIZED (
  SELECT m.model_id, m.scope_entity_id, m.card -> 'entities_with_own_scale' AS scaled
  FROM tsad.model m
  WHERE m.dataset_id = %(dataset_id)s AND m.card ? 'entities_with_own_scale'
    AND EXISTS (SELECT FROM tsad.champion_period p WHERE p.model_id = m.model_id)
), unscaled AS (
  SELECT DISTINCT e.entity_id
  FROM champion c
  JOIN tsad.entity e ON e.dataset_id = %(dataset_id)s AND c.scope_entity_id IN (0, e.entity_id)
  LEFT JOIN (SELECT model_id, jsonb_array_elements_text(scaled) AS name FROM champion) k ON k.model_id = c.model_id AND k.name = e.name
  WHERE k.name IS NULL
)
SELECT u.entity_id, s.from_at, s.usable_at, s.scaling, s.needed_hours, s.learned_from
FROM unscaled u LEFT JOIN tsad.entity_scale s USING (entity_id)
ORDER BY u.entity_id
