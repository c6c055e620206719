-- One model of a dataset, by its version or by its id.
SELECT m.model_id, m.version, m.scope_entity_id, m.lineage, m.gate_passed, m.train_end_at, m.pruned_at
FROM tsad.model m JOIN tsad.dataset d USING (dataset_id)
WHERE d.name = %(dataset)s AND (m.version = %(version)s OR m.model_id = %(model_id)s)
