-- The highest scores of a period, with their leading channel, and how many anomalies there are in all.
WITH found AS (
  SELECT a.entity_id, a.at, a.model_id, a.kind, a.severity, a.error, a.threshold, a.score, count(*) OVER () AS n_all
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
    AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
  WHERE e.dataset_id = %(dataset_id)s AND a.superseded_at = 'infinity' AND a.at >= %(start_at)s AND a.at < %(end_at)s
  ORDER BY a.score DESC, a.at, a.entity_id LIMIT %(n)s)
SELECT f.at, e.name AS entity, f.kind, f.severity, f.error, f.threshold, f.score, f.n_all, t.channel, t.unit, t.actual,
       t.expected, t.spread
FROM found f
JOIN tsad.entity e USING (entity_id)
LEFT JOIN LATERAL (
  SELECT c.name AS channel, c.unit, r.actual, r.expected, r.spread
  FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
  WHERE r.entity_id = f.entity_id AND r.at = f.at AND r.model_id = f.model_id
  ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
