-- An entity as it stands: alive or not, and whether anybody said that it is gone.
SELECT y.state, y.retired_at, y.retired_by, y.retired_why,
       EXISTS (SELECT FROM tsad.retirement r WHERE r.entity_id = e.entity_id AND r.withdrawn_at IS NULL) AS is_said,
       y.state = 'retired' AND EXISTS (
         SELECT FROM tsad.retirement r
         WHERE r.entity_id = e.entity_id AND r.withdrawn_at IS NULL AND r.origin = 'person' AND r.why = y.retired_why) AS is_by_person
FROM tsad.v_entity y
JOIN tsad.dataset d ON d.name = y.dataset
JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = y.entity
WHERE y.dataset = %(dataset)s AND y.entity = %(entity)s
