-- Incidents that nobody has judged, snoozed or foreseen: the worst and those that go on first, and how many there are.
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, t.taken_by, t.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, count(*) OVER () AS n_all
FROM tsad.v_incident i
LEFT JOIN LATERAL (
  SELECT x.taken_by, x.snoozed_until FROM tsad.v_triage x
  WHERE x.dataset = i.dataset AND x.entity = i.entity AND x.start_at <= i.last_flag_at AND x.end_at > i.started_at
  ORDER BY x.triage_id DESC LIMIT 1) t ON true
WHERE i.lineage = 'live' AND i.dataset = ANY(%(datasets)s::text[]) AND i.last_flag_at >= %(from_at)s AND i.started_at < %(to_at)s
  AND i.verdict IS NULL AND i.suppressed_by IS NULL AND NOT coalesce(i.held, false)
  AND (t.snoozed_until IS NULL OR t.snoozed_until <= %(now)s)
ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity), i.state = 'open' DESC, i.peak_score DESC, i.incident_id LIMIT %(n)s
