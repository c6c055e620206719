-- All champion periods of a scope and lineage, oldest first.
SELECT model_id, valid_from, valid_to FROM tsad.champion_period
WHERE dataset_id = %(dataset_id)s AND scope_entity_id = %(scope_entity_id)s AND lineage = %(lineage)s ORDER BY valid_from
