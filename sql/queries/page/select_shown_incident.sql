-- One incident with all of its parts, by the id of any of them.
WITH RECURSIVE back AS (
  SELECT i.incident_id, i.continues FROM tsad.incident i
  WHERE i.incident_id = %(incident_id)s AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  UNION
  SELECT f.incident_id, f.continues FROM back b JOIN tsad.incident f ON f.incident_id = b.continues
  WHERE f.superseded_by IS NULL AND f.withdrawn_at IS NULL)
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, i.taken_by, i.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, i.n_parts, i.priority,
       i.group_id, (SELECT g.headline FROM tsad.incident_group g WHERE g.group_id = i.group_id) AS headline
FROM back b CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident_chain v WHERE v.incident_id = b.incident_id OFFSET 0) i
