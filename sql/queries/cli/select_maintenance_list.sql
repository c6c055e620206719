-- Maintenance windows of a dataset for people, newest first.
SELECT window_id, title, entity, start_at, end_at, rrule, zone, created_by, withdrawn_at
FROM tsad.v_maintenance WHERE dataset = %(dataset)s ORDER BY window_id DESC
