-- Challengers in the shadow whose form may still be answered, and the run that asked.
SELECT m.version, x.decided_by
FROM tsad.champion_period p
JOIN tsad.model m USING (model_id)
CROSS JOIN LATERAL (
  SELECT y.decided_by, y.decided_at FROM tsad.model_decision y
  WHERE y.model_id = p.model_id AND y.lineage = %(lineage)s AND y.decision = 'asked'
  ORDER BY y.decision_id DESC LIMIT 1) x
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s || '/shadow' AND p.valid_to = 'infinity'
  AND x.decided_at > clock_timestamp() - make_interval(secs => %(open_s)s)
