-- Verdicts of a dataset that hold, oldest first, as wide as the incidents that they are bound to, and when they were learned.
SELECT v.verdict_id, v.entity_id, v.channel_id, v.verdict, least(v.start_at, i.started_at) AS start_at, greatest(v.end_at, i.end_at) AS end_at,
       l.learned_at
FROM tsad.verdict v
JOIN tsad.entity e USING (entity_id)
JOIN tsad.dataset d USING (dataset_id)
LEFT JOIN LATERAL (
  SELECT min(x.started_at) AS started_at, max(x.last_flag_at) + make_interval(secs => d.step_s) AS end_at
  FROM tsad.incident x
  WHERE x.lineage = %(lineage)s AND x.entity_id = v.entity_id AND x.superseded_by IS NULL AND x.withdrawn_at IS NULL
    AND x.started_at < v.end_at AND x.last_flag_at >= v.start_at) i ON true
LEFT JOIN LATERAL (
  SELECT min(p.valid_from) AS learned_at
  FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
  WHERE p.lineage = %(lineage)s AND p.dataset_id = d.dataset_id AND p.scope_entity_id IN (0, v.entity_id)
    AND m.created_at > v.said_at AND m.train_end_at > v.start_at) l ON true
WHERE d.dataset_id = %(dataset_id)s AND v.withdrawn_at IS NULL
ORDER BY v.verdict_id
