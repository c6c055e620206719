-- The model of one training, if it was registered before.
SELECT model_id, version, gate_passed FROM tsad.model
WHERE dataset_id = %(dataset_id)s AND scope_entity_id = %(scope_entity_id)s AND lineage = %(lineage)s
  AND train_start_at = %(train_start_at)s AND train_end_at = %(train_end_at)s AND config_hash = %(config_hash)s AND seed = %(seed)s
