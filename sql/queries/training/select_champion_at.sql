-- The champion of a scope at one moment.
SELECT p.model_id, p.valid_from, p.valid_to, m.artifact_uri, m.sha256, m.version, m.train_end_at, m.is_young
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.scope_entity_id = %(scope_entity_id)s AND p.lineage = %(lineage)s
  AND p.valid_from <= %(at)s AND p.valid_to > %(at)s
