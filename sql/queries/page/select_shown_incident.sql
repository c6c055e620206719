-- One incident, with who has it in hand.
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, t.taken_by, t.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, 1 AS n_parts, i.priority, i.continues,
       (SELECT n.incident_id FROM tsad.v_incident n WHERE n.continues = i.incident_id ORDER BY n.started_at LIMIT 1) AS continued_by,
       i.group_id, (SELECT g.headline FROM tsad.v_incident_group g WHERE g.group_id = i.group_id) AS headline
FROM tsad.v_incident i
LEFT JOIN LATERAL (
  SELECT x.taken_by, x.snoozed_until FROM tsad.v_triage x
  WHERE x.dataset = i.dataset AND x.entity = i.entity AND x.start_at <= i.last_flag_at AND x.end_at > i.started_at
  ORDER BY x.triage_id DESC LIMIT 1) t ON true
WHERE i.incident_id = %(incident_id)s
