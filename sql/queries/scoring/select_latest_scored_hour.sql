-- The newest hour that a lineage's champions have scored, of one scope or, without one, of all.
SELECT max(b.hour_at) AS hour_at
FROM tsad.score_block b
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = %(lineage)s
  AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
WHERE p.dataset_id = %(dataset_id)s AND coalesce(p.scope_entity_id = %(scope_entity_id)s, true) AND b.superseded_at = 'infinity'
  AND b.thresholds IS NOT NULL
