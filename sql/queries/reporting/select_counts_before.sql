-- Incidents that touch each of several periods, without those of maintenance, by verdict; a group is one, judged when all of it is.
SELECT one.start_at, one.verdict, count(*) AS n_incidents
FROM (
  SELECT p.start_at, CASE WHEN bool_and(i.verdict IS NOT NULL) THEN
           (array_agg(i.verdict ORDER BY i.priority, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity), i.peak_score DESC, i.started_at, i.incident_id))[1] END AS verdict
  FROM generate_series(%(start_at)s::timestamptz - %(n)s::int * %(length)s::interval, %(start_at)s::timestamptz - %(length)s::interval, %(length)s::interval) AS p (start_at)
  JOIN (
    SELECT c.incident_id, c.group_id, c.verdict, c.priority, c.severity, c.peak_score, c.started_at, c.last_flag_at
    FROM tsad.incident_chains(ARRAY[%(dataset)s::text], %(lineage)s, %(start_at)s::timestamptz - %(n)s::int * %(length)s::interval, %(start_at)s) c
    WHERE NOT c.suppressed) i
    ON i.last_flag_at >= p.start_at AND i.started_at < p.start_at + %(length)s::interval
  GROUP BY p.start_at, coalesce(i.group_id, i.incident_id)) one
GROUP BY one.start_at, one.verdict
ORDER BY one.start_at DESC, one.verdict
