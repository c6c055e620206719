-- Retires entities that the inventory calls retired, or all of whose series have ended by now.
INSERT INTO tsad.retirement (entity_id, from_at, origin, why, said_by)
SELECT e.entity_id, i.retired_since, 'inventory', 'the inventory of its source calls it retired', 'inventory'
FROM tsad.inventory i JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND i.retired_since IS NOT NULL
UNION
SELECT e.entity_id, s.ended_at, 'inventory', 'all its series have ended or have another name', 'inventory'
FROM (SELECT entity, max(valid_to) AS ended_at FROM tsad.series WHERE dataset_id = %(dataset_id)s
      GROUP BY entity HAVING bool_and(coalesce(valid_to < clock_timestamp(), false))) s
JOIN tsad.entity e ON e.dataset_id = %(dataset_id)s AND e.name = s.entity
ORDER BY 1, 2
ON CONFLICT (entity_id, from_at) WHERE origin = 'inventory' DO NOTHING
