-- When some entities were flagged as a lineage's champions saw them, in any order, for binary COPY.
SELECT a.entity_id, a.at, a.score, a.error
FROM tsad.anomaly a
JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
  AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
WHERE a.entity_id = ANY(%(entity_ids)s::int[]) AND a.superseded_at = 'infinity' AND a.at >= %(start_at)s AND a.at < %(end_at)s
