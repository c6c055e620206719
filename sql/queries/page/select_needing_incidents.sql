-- Incidents that nobody has judged, snoozed or foreseen, by priority, the worst and those that go on first, of a group the worst alone; and how many.
WITH waiting AS (
  SELECT c.incident_id, c.priority, c.severity, c.state, c.peak_score, c.group_id,
         count(*) OVER (PARTITION BY coalesce(c.group_id, c.incident_id))::int AS n_needing, count(*) OVER ()::int AS n_all,
         row_number() OVER (PARTITION BY coalesce(c.group_id, c.incident_id)
           ORDER BY c.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], c.severity), c.state = 'open' DESC, c.peak_score DESC, c.incident_id) AS place
  FROM tsad.incident_chains(%(datasets)s::text[], 'live', %(from_at)s, %(to_at)s) c
  WHERE c.verdict IS NULL AND NOT c.suppressed AND NOT c.held AND (c.snoozed_until IS NULL OR c.snoozed_until <= %(now)s)),
chosen AS MATERIALIZED (
  SELECT w.incident_id, w.n_needing, w.n_all,
         row_number() OVER (ORDER BY w.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], w.severity), w.state = 'open' DESC, w.peak_score DESC, w.incident_id) AS place
  FROM waiting w WHERE w.place = 1 ORDER BY place LIMIT %(n)s)
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.end_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, i.taken_by, i.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, i.n_parts,
       i.priority, k.n_all, i.group_id, (SELECT g.headline FROM tsad.incident_group g WHERE g.group_id = i.group_id) AS headline, k.n_needing
FROM chosen k CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident_chain v WHERE v.incident_id = k.incident_id OFFSET 0) i
ORDER BY k.place
