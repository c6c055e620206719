-- Scores of the hours around some incidents, each step of up to a day, the highest of each hour of more.
SELECT w.incident_id, b.hour_at,
       CASE WHEN w.to_at - w.from_at > interval '1 day' THEN ARRAY[(SELECT max(u.score) FROM unnest(b.scores) AS u (score))] ELSE b.scores END AS scores
FROM unnest(%(incident_ids)s::text[], %(from_at)s::timestamptz[], %(to_at)s::timestamptz[]) AS w (incident_id, from_at, to_at)
JOIN tsad.incident i USING (incident_id)
CROSS JOIN LATERAL (
  SELECT s.hour_at, s.model_id, s.scores FROM tsad.score_block s
  WHERE s.entity_id = i.entity_id AND s.superseded_at = 'infinity' AND s.thresholds IS NOT NULL AND s.hour_at >= w.from_at AND s.hour_at < w.to_at
  OFFSET 0) b
JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = 'live' AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
ORDER BY w.incident_id, b.hour_at
