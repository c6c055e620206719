-- Of each entity that is not retired, and was not off when it fell silent: the newest hour that has a score or was off, and what is said of it now.
SELECT e.name AS entity, k.hour_at AS known_at, CASE y.state WHEN 'silent' THEN y.state ELSE v.status END AS status
FROM tsad.dataset d
JOIN tsad.entity e USING (dataset_id)
JOIN tsad.v_entity y ON y.dataset = d.name AND y.entity = e.name AND y.state <> 'retired'
LEFT JOIN LATERAL (
  SELECT b.hour_at, b.status
  FROM tsad.score_block b
  JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = %(lineage)s
    AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
  WHERE b.entity_id = e.entity_id AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
    AND b.status IN ('scored', 'partial', 'unknown_entity_scale', 'off')
  ORDER BY b.hour_at DESC LIMIT 1) k ON true
LEFT JOIN tsad.v_status v ON v.dataset = d.name AND v.entity = e.name AND v.lineage = %(lineage)s AND v.hour_at = %(newest_hour_at)s
WHERE d.dataset_id = %(dataset_id)s AND NOT (y.state = 'silent' AND coalesce(k.status = 'off', false))
ORDER BY e.name
