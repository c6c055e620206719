-- Errors, thresholds and scores of one entity as a lineage's champions left them, for binary COPY; NaN stands for NULL.
SELECT b.entity_id, b.hour_at, array_replace(b.errors, NULL, 'NaN'::real) AS errors, array_replace(b.thresholds, NULL, 'NaN'::real) AS thresholds,
       array_replace(b.scores, NULL, 'NaN'::real) AS scores
FROM tsad.score_block b
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = %(lineage)s
  AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
WHERE b.entity_id = %(entity_id)s AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  AND b.hour_at >= %(start_at)s AND b.hour_at < %(end_at)s
