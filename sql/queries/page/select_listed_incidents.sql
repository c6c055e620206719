-- Incidents by what is asked for, those that last once, newest first, from a key on; and how many there are, counted up to a limit.
WITH found AS MATERIALIZED (
  SELECT c.incident_id, c.started_at FROM tsad.incident_chains(%(datasets)s::text[], 'live', %(from_at)s, %(to_at)s) c
  WHERE (%(entity)s::text IS NULL OR c.entity = %(entity)s) AND (%(severity)s::text IS NULL OR c.severity = %(severity)s)
    AND (%(word)s::text IS NULL OR strpos(lower(c.sentence || ' ' || c.incident_id), lower(%(word)s)) > 0)
    AND (%(verdict)s::text IS NULL OR coalesce(c.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR c.state = %(state)s)
    AND (%(group_id)s::text IS NULL OR c.group_id = %(group_id)s)),
chosen AS MATERIALIZED (
  SELECT f.incident_id FROM found f
  WHERE %(before_at)s::timestamptz IS NULL OR (f.started_at, f.incident_id) < (%(before_at)s::timestamptz, %(before_id)s::text)
  ORDER BY f.started_at DESC, f.incident_id DESC LIMIT %(n)s)
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, i.taken_by, i.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, i.n_parts, i.priority,
       (SELECT count(*)::int FROM (SELECT FROM found LIMIT %(most)s) one) AS n_all
FROM chosen k CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident_chain v WHERE v.incident_id = k.incident_id OFFSET 0) i
ORDER BY i.started_at DESC, i.incident_id DESC
