-- Incidents by what is asked for, newest first, from a key on; or the one of an id.
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, t.taken_by, t.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected
FROM tsad.v_incident i
LEFT JOIN LATERAL (
  SELECT x.taken_by, x.snoozed_until FROM tsad.v_triage x
  WHERE x.dataset = i.dataset AND x.entity = i.entity AND x.start_at <= i.last_flag_at AND x.end_at > i.started_at
  ORDER BY x.triage_id DESC LIMIT 1) t ON true
WHERE (%(incident_id)s::text IS NULL OR i.incident_id = %(incident_id)s) AND (%(lineage)s::text IS NULL OR i.lineage = %(lineage)s)
  AND (%(datasets)s::text[] IS NULL OR i.dataset = ANY(%(datasets)s::text[]))
  AND (%(from_at)s::timestamptz IS NULL OR i.last_flag_at >= %(from_at)s::timestamptz)
  AND (%(to_at)s::timestamptz IS NULL OR i.started_at < %(to_at)s::timestamptz)
  AND (%(entity)s::text IS NULL OR i.entity = %(entity)s) AND (%(severity)s::text IS NULL OR i.severity = %(severity)s)
  AND (%(word)s::text IS NULL OR strpos(lower(i.sentence || ' ' || i.incident_id), lower(%(word)s)) > 0)
  AND (%(verdict)s::text IS NULL OR coalesce(i.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR i.state = %(state)s)
  AND (%(before_at)s::timestamptz IS NULL OR (i.started_at, i.incident_id) < (%(before_at)s::timestamptz, %(before_id)s::text))
ORDER BY i.started_at DESC, i.incident_id DESC LIMIT %(n)s
