-- The end of the newest hour that live champions of a dataset have scored.
SELECT max(b.hour_at) + interval '1 hour' AS scored_until
FROM tsad.score_block b
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = 'live' AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
WHERE p.dataset_id = %(dataset_id)s AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
