-- Registers a trained model, unless it is there already and was not refused; versions of a rehearsal count down from -1, beside all others.
INSERT INTO tsad.model (dataset_id, scope_entity_id, lineage, version, parent_model_id, detector, seed, train_start_at, train_end_at,
  config_hash, window_reach_s, score_reach_s, n_parameters, artifact_uri, sha256, card, folds,
  is_young, weekdays_seen, weekdays_held)
SELECT %(dataset_id)s, %(scope_entity_id)s, %(lineage)s,
  CASE WHEN %(lineage)s = 'rehearsal' THEN least(min(version), 0) - 1 ELSE greatest(max(version), 0) + 1 END, %(parent_model_id)s, %(detector)s, %(seed)s,
  %(train_start_at)s, %(train_end_at)s, %(config_hash)s, %(window_reach_s)s, %(score_reach_s)s, %(n_parameters)s, %(artifact_uri)s,
  %(sha256)s, %(card)s::jsonb, %(folds)s,
  %(is_young)s, %(weekdays_seen)s::int[], %(weekdays_held)s::int[]
FROM tsad.model WHERE dataset_id = %(dataset_id)s
ON CONFLICT DO NOTHING
