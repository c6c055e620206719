-- Champion periods of a lineage that touch a range, with what scoring needs to know of the model.
SELECT p.scope_entity_id, p.model_id,
       -- No model speaks of what it was trained on, but for one that was asked for by name.
       CASE WHEN p.lineage LIKE 'what_if/%%' THEN p.valid_from ELSE greatest(p.valid_from, m.train_end_at) END AS valid_from,
       p.valid_to, m.train_end_at, m.window_reach_s, m.score_reach_s, m.artifact_uri, m.sha256, m.version, m.folds
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s AND p.valid_to > %(start_at)s AND p.valid_from < %(end_at)s
  AND (p.lineage LIKE 'what_if/%%' OR p.valid_to > m.train_end_at)
ORDER BY p.scope_entity_id, p.valid_from
