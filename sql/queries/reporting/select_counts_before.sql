-- Incidents that touch each of several periods, those apart that maintenance suppresses, by verdict; the newest period first.
SELECT p.start_at, i.verdict, count(*) AS n_incidents
FROM generate_series(%(start_at)s::timestamptz - %(n)s::int * %(length)s::interval, %(start_at)s::timestamptz - %(length)s::interval, %(length)s::interval) AS p (start_at)
JOIN tsad.v_incident i ON i.last_flag_at >= p.start_at AND i.started_at < p.start_at + %(length)s::interval
WHERE i.dataset = %(dataset)s AND i.lineage = %(lineage)s AND i.suppressed_by IS NULL
  AND i.last_flag_at >= %(start_at)s::timestamptz - %(n)s::int * %(length)s::interval AND i.started_at < %(start_at)s::timestamptz
GROUP BY p.start_at, i.verdict
ORDER BY p.start_at DESC, i.verdict
