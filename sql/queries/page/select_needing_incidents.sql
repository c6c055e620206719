-- Incidents that nobody has judged, snoozed or foreseen, by priority, the worst and those that go on first, of a group the worst alone; and how many.
SELECT i.incident_id, i.dataset, i.entity, i.severity, i.kind, i.state, i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at,
       i.channel, i.sentence, i.verdict, i.suppressed_by, coalesce(i.held, false) AS held, i.model_id, i.taken_by, i.snoozed_until,
       EXISTS (SELECT FROM tsad.v_quality q WHERE q.dataset = i.dataset AND q.entity = i.entity AND q.channel = i.channel
                 AND q.hour_at > i.started_at - interval '1 hour' AND q.hour_at <= i.last_flag_at) AS sensor_suspected, i.n_parts,
       i.priority, sum(i.n_needing) OVER ()::int AS n_all, i.group_id,
       (SELECT g.headline FROM tsad.v_incident_group g WHERE g.group_id = i.group_id) AS headline, i.n_needing
FROM (
  SELECT c.*,
         count(*) OVER (PARTITION BY coalesce(c.group_id, c.incident_id))::int AS n_needing,
         row_number() OVER (PARTITION BY coalesce(c.group_id, c.incident_id)
           ORDER BY c.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], c.severity), c.state = 'open' DESC, c.peak_score DESC, c.incident_id) AS place
  FROM tsad.v_incident_chain c
  WHERE c.lineage = 'live' AND c.dataset = ANY(%(datasets)s::text[]) AND c.started_at >= %(since_at)s
  AND (c.started_at >= %(from_at)s OR c.incident_id = ANY(%(lasting)s::text[])) AND c.started_at < %(to_at)s
    AND c.verdict IS NULL AND c.suppressed_by IS NULL AND NOT coalesce(c.held, false)
    AND (c.snoozed_until IS NULL OR c.snoozed_until <= %(now)s)) i
WHERE i.place = 1
ORDER BY i.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity), i.state = 'open' DESC, i.peak_score DESC, i.incident_id LIMIT %(n)s
