-- Versions of a dataset's models, the newest first.
SELECT version, model_id, entity, lineage, detector, train_start_at, train_end_at, gate_passed, valid_from, valid_to, champion, n_parameters, created_at,
       state, shadow_from, shadow_to, pruned_at, young, unknown_weekdays, sha256
FROM tsad.v_model WHERE dataset = %(dataset)s AND lineage = 'live' ORDER BY version DESC, valid_from DESC NULLS LAST LIMIT %(n)s
