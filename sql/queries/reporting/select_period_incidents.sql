-- Incidents that touch a period, those that last once, by priority, worst first, with error and threshold at their peak.
SELECT i.incident_id, e.entity_id, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score,
       i.peak_at, i.channel, i.sentence, f.provisional, f.policy_version, i.model_id, i.suppressed_by, a.kind AS peak_kind, a.error, a.threshold, i.verdict,
       i.n_parts, i.group_id, (SELECT g.headline FROM tsad.incident_group g WHERE g.group_id = i.group_id) AS headline, i.priority
FROM tsad.incident_chains(ARRAY[%(dataset)s::text], %(lineage)s, %(start_at)s, %(end_at)s) k
CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident_chain v WHERE v.incident_id = k.incident_id OFFSET 0) i
JOIN tsad.incident f ON f.incident_id = i.incident_id
JOIN tsad.entity e ON e.entity_id = f.entity_id
LEFT JOIN LATERAL (
  SELECT x.kind, x.error, x.threshold FROM tsad.anomaly x
  WHERE x.entity_id = e.entity_id AND x.at = i.peak_at AND x.score = i.peak_score AND x.superseded_at = 'infinity'
  ORDER BY x.model_id DESC LIMIT 1) a ON true
ORDER BY i.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity), i.peak_score DESC, i.started_at, i.incident_id
