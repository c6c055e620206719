-- From the first to the last hour whose rows runs not long before the end of a range found late: before that end, or by a run up to it.
SELECT min(l.hour_at) AS start_at, max(l.hour_at) + interval '1 hour' AS end_at
FROM tsad.late_hour l JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND l.arrived_at > %(since)s AND (l.hour_at < %(end_at)s OR l.arrived_at <= %(end_at)s)
HAVING count(*) > 0
