-- Incidents by what is asked for, those that last once, newest first, from a key on.
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, i.taken_by, i.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, i.n_parts, i.priority
FROM tsad.v_incident_chain i
WHERE i.lineage = 'live' AND i.dataset = ANY(%(datasets)s::text[]) AND i.started_at >= %(since_at)s
  AND (i.started_at >= %(from_at)s OR i.incident_id = ANY(%(lasting)s::text[])) AND i.started_at < %(to_at)s
  AND (%(entity)s::text IS NULL OR i.entity = %(entity)s) AND (%(severity)s::text IS NULL OR i.severity = %(severity)s)
  AND (%(word)s::text IS NULL OR strpos(lower(i.sentence || ' ' || i.incident_id), lower(%(word)s)) > 0)
  AND (%(verdict)s::text IS NULL OR coalesce(i.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR i.state = %(state)s)
  AND (%(group_id)s::text IS NULL OR i.group_id = %(group_id)s)
  AND (%(before_at)s::timestamptz IS NULL OR (i.started_at, i.incident_id) < (%(before_at)s::timestamptz, %(before_id)s::text))
ORDER BY i.started_at DESC, i.incident_id DESC LIMIT %(n)s
