-- The model of one training: the one that its gate did not refuse, else the refused one with this bundle.
SELECT model_id, version, gate_passed FROM tsad.model
WHERE dataset_id = %(dataset_id)s AND scope_entity_id = %(scope_entity_id)s AND lineage = %(lineage)s
  AND train_start_at = %(train_start_at)s AND train_end_at = %(train_end_at)s AND config_hash = %(config_hash)s AND seed = %(seed)s
  AND (gate_passed IS NOT FALSE OR sha256 = %(sha256)s)
ORDER BY gate_passed IS NOT FALSE DESC LIMIT 1
