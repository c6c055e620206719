-- One incident with all of its parts, by the id of any of them and without its group, with error and threshold at its peak.
WITH RECURSIVE back AS (
  SELECT i.incident_id, i.continues FROM tsad.incident i
  WHERE i.incident_id = %(incident_id)s AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  UNION
  SELECT f.incident_id, f.continues FROM back b JOIN tsad.incident f ON f.incident_id = b.continues
  WHERE f.superseded_by IS NULL AND f.withdrawn_at IS NULL)
SELECT i.incident_id, e.entity_id, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score,
       i.peak_at, i.channel, i.sentence, f.provisional, f.policy_version, i.model_id, i.suppressed_by, a.kind AS peak_kind, a.error, a.threshold, i.verdict,
       i.n_parts, NULL AS group_id, NULL AS headline, i.priority
FROM back b
CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident_chain v WHERE v.incident_id = b.incident_id OFFSET 0) i
JOIN tsad.incident f ON f.incident_id = i.incident_id
JOIN tsad.entity e ON e.entity_id = f.entity_id
LEFT JOIN LATERAL (
  SELECT x.kind, x.error, x.threshold FROM tsad.anomaly x
  WHERE x.entity_id = e.entity_id AND x.at = i.peak_at AND x.score = i.peak_score AND x.superseded_at = 'infinity'
  ORDER BY x.model_id DESC LIMIT 1) a ON true
WHERE i.dataset = %(dataset)s AND i.lineage = %(lineage)s
