-- One incident, by itself where it is part of one that lasts, with error and threshold at its peak.
SELECT i.incident_id, e.entity_id, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score,
       i.peak_at, i.channel, i.sentence, i.provisional, i.policy_version, i.model_id, i.suppressed_by, a.kind AS peak_kind, a.error, a.threshold, i.verdict,
       1 AS n_parts, NULL AS group_id, NULL AS headline, i.priority
FROM tsad.v_incident i
JOIN tsad.dataset d ON d.name = i.dataset
JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = i.entity
LEFT JOIN LATERAL (
  SELECT f.kind, f.error, f.threshold FROM tsad.anomaly f
  WHERE f.entity_id = e.entity_id AND f.at = i.peak_at AND f.score = i.peak_score AND f.superseded_at = 'infinity'
  ORDER BY f.model_id DESC LIMIT 1) a ON true
WHERE i.incident_id = %(incident_id)s AND i.dataset = %(dataset)s AND i.lineage = %(lineage)s
