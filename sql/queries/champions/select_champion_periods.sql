-- All champion periods of a scope and lineage, oldest first.
SELECT p.model_id, p.valid_from, p.valid_to, m.is_young
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.scope_entity_id = %(scope_entity_id)s AND p.lineage = %(lineage)s ORDER BY p.valid_from
