-- Which of some entities a lineage's champions flagged in a range.
SELECT DISTINCT a.entity_id
FROM tsad.anomaly a
JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
  AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
WHERE a.entity_id = ANY(%(entity_ids)s::int[]) AND a.superseded_at = 'infinity' AND a.at >= %(start_at)s AND a.at < %(end_at)s
ORDER BY a.entity_id
