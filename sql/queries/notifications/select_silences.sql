-- Entities of a dataset that have a habit and are silent, or will be within the hour, and those that people were told of.
SELECT entity_id, entity, carrier, state, last_at, silent_from, known_until, is_new, silence_id, told_since_at, newest_at, n_entities
FROM (
  SELECT e.entity_id, y.entity, coalesce(y.carrier, '') AS carrier, y.state, y.last_seen_at AS last_at, y.silent_from, y.known_until,
         y.has_habit AND y.is_quiet AND y.state <> 'retired' AND m.silence_id IS NULL AS is_new, m.silence_id, m.since_at AS told_since_at,
         max(y.last_seen_at) OVER () AS newest_at, count(*) FILTER (WHERE y.has_habit AND y.state <> 'retired') OVER () AS n_entities
  FROM tsad.dataset d
  JOIN tsad.v_entity y ON y.dataset = d.name
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = y.entity
  LEFT JOIN tsad.silent_entity m ON m.entity_id = e.entity_id AND m.ended_at IS NULL
  WHERE d.dataset_id = %(dataset_id)s) x
WHERE is_new OR silence_id IS NOT NULL
ORDER BY last_at, entity
