-- The highest score of a period, flagged or not.
SELECT max(s.score) AS score
FROM tsad.score_block b
JOIN tsad.entity e USING (entity_id)
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = %(lineage)s
  AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
CROSS JOIN LATERAL (SELECT max(u.score) AS score FROM unnest(b.scores) AS u(score)) s
WHERE e.dataset_id = %(dataset_id)s AND b.superseded_at = 'infinity' AND b.hour_at >= %(start_at)s AND b.hour_at < %(end_at)s
