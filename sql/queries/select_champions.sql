-- Champion periods of a lineage that touch a range, with what scoring needs to know of the model.
SELECT p.scope_entity_id, p.model_id, p.valid_from, p.valid_to, m.train_end_at, m.window_reach_s, m.score_reach_s,
       m.artifact_uri, m.sha256, m.version, m.folds
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s AND p.valid_to > %(start_at)s AND p.valid_from < %(end_at)s
ORDER BY p.scope_entity_id, p.valid_from
