-- Maintenance windows of a dataset that hold, oldest first.
SELECT window_id, entity_id, start_at, end_at, rrule, zone, margin_before_s, margin_after_s, title
FROM tsad.maintenance_window
WHERE dataset_id = %(dataset_id)s AND withdrawn_at IS NULL
ORDER BY window_id
