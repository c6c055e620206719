-- Forgets states of models that have not been champion since a moment.
DELETE FROM tsad.fold_state s USING tsad.model m
WHERE m.model_id = s.model_id AND m.dataset_id = %(dataset_id)s
  AND NOT EXISTS (SELECT FROM tsad.champion_period p WHERE p.model_id = s.model_id AND p.valid_to > %(before_at)s)
