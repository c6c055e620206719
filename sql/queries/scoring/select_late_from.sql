-- The first hour of a dataset, before the end of a range, whose rows came late and not long before the range.
SELECT min(l.hour_at) AS hour_at
FROM tsad.late_hour l JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND l.arrived_at > %(since)s AND l.hour_at < %(end_at)s
