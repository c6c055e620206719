-- Entities of a silence, and whether each is back.
SELECT e.name AS entity, coalesce(m.is_back, false) AS is_back
FROM tsad.silent_entity m JOIN tsad.entity e USING (entity_id)
WHERE m.silence_id = %(silence_id)s
ORDER BY 1
