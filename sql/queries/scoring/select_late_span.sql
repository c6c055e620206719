-- From the first to the last hour of a dataset whose rows came late and not long before the end of a range: of those before its end, and of those that a run up to it found.
SELECT min(l.hour_at) AS start_at, max(l.hour_at) + interval '1 hour' AS end_at
FROM tsad.late_hour l JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND l.arrived_at > %(since)s AND (l.hour_at < %(end_at)s OR l.arrived_at <= %(end_at)s)
HAVING count(*) > 0
