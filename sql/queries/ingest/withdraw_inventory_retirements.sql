-- Takes back retirements by the inventory of entities that it no longer calls retired.
UPDATE tsad.retirement r
SET withdrawn_at = clock_timestamp(), withdrawn_by = 'inventory', withdrawn_why = 'the source calls it retired no longer',
    withdrawn_login = session_user
FROM tsad.entity e
WHERE e.dataset_id = %(dataset_id)s AND r.entity_id = e.entity_id AND r.origin = 'inventory' AND r.withdrawn_at IS NULL
  AND NOT EXISTS (SELECT FROM tsad.inventory i WHERE i.entity_id = e.entity_id AND i.retired_since IS NOT NULL)
  AND coalesce((SELECT bool_or(coalesce(s.valid_to >= clock_timestamp(), true)) FROM tsad.series s
                WHERE s.dataset_id = e.dataset_id AND s.entity = e.name), true)
