-- Live incidents that stand, not suppressed nor held for a young model: the newer ones, those found late, and all that an alert may stand for.
SELECT i.incident_id, i.entity, i.started_at, i.last_flag_at, i.severity, i.state = 'open' AS is_open, i.sentence,
  i.verdict IN ('false_alarm', 'expected', 'new_normal') AS is_normal, i.continues, l.arrived_at, i.channel, i.direction, t.taken_by, t.snoozed_until
FROM tsad.v_incident i
JOIN tsad.dataset d ON d.name = i.dataset
JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = i.entity
CROSS JOIN LATERAL (
  SELECT max(h.arrived_at) AS arrived_at FROM tsad.late_hour h
  WHERE h.entity_id = e.entity_id AND h.hour_at = date_trunc('hour', i.last_flag_at, 'UTC')) l
LEFT JOIN LATERAL (
  SELECT x.taken_by, x.snoozed_until FROM tsad.triage x
  WHERE x.entity_id = e.entity_id AND x.start_at <= i.last_flag_at AND x.end_at > i.started_at
  ORDER BY x.triage_id DESC LIMIT 1) t ON true
WHERE d.dataset_id = %(dataset_id)s AND i.lineage = 'live' AND i.suppressed_by IS NULL AND NOT i.held
  AND (i.last_flag_at > %(newer_than)s OR l.arrived_at > %(arrived_since)s OR EXISTS (
    SELECT FROM tsad.alert a
    WHERE a.dataset_id = d.dataset_id AND a.entity_id = e.entity_id AND a.state <> 'withdrawn'
      AND (a.state = 'open' OR a.end_at >= %(settled_before)s)
      AND a.start_at <= i.last_flag_at + make_interval(secs => d.merge_gap_s)
      AND a.end_at >= i.started_at - make_interval(secs => d.merge_gap_s)))
ORDER BY i.entity, i.started_at, i.incident_id
