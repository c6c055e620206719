-- Notes hours whose rows came late, and the end of the interval by whose run they were found.
INSERT INTO tsad.late_hour (entity_id, hour_at, arrived_at)
SELECT u.entity_id, u.hour_at, %(arrived_at)s::timestamptz
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS u(entity_id, hour_at)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
