-- Challengers that are in the shadow of a lineage's champions now, with their scope.
SELECT p.scope_entity_id, p.model_id, m.version, p.valid_from
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s || '/shadow' AND p.valid_to = 'infinity'
ORDER BY p.scope_entity_id
