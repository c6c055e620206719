-- Errors, thresholds and scores of an entity in a rehearsal, an hour a row, of the champion of each hour.
SELECT b.hour_at, b.model_id, b.errors, b.thresholds, b.scores
FROM tsad.score_block b
JOIN tsad.entity e USING (entity_id)
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.dataset_id = e.dataset_id AND p.lineage = 'rehearsal'
  AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
WHERE b.entity_id = %(entity_id)s AND b.hour_at >= %(start_at)s AND b.hour_at < %(end_at)s
  AND b.superseded_at = 'infinity' AND b.scores IS NOT NULL
ORDER BY b.hour_at
