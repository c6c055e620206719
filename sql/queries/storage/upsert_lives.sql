-- Adds hours with rows to the lives of entities; gives those that grew, what is known already writes nothing.
INSERT INTO tsad.entity_life AS l (entity_id, month_at, hours)
SELECT u.entity_id, date_trunc('month', u.hour_at, 'UTC'), range_agg(tstzrange(u.hour_at, u.hour_at + interval '1 hour'))
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS u(entity_id, hour_at)
GROUP BY 1, 2
ORDER BY 1, 2
ON CONFLICT (entity_id, month_at) DO UPDATE SET hours = l.hours + excluded.hours
  WHERE NOT l.hours @> excluded.hours
RETURNING entity_id
