-- Adds hours with rows of one of several sources to the lives of entities in it; what is known already writes nothing.
INSERT INTO tsad.source_life AS l (entity_id, source, month_at, hours)
SELECT u.entity_id, %(source)s, date_trunc('month', u.hour_at, 'UTC'), range_agg(tstzrange(u.hour_at, u.hour_at + interval '1 hour'))
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS u(entity_id, hour_at)
GROUP BY u.entity_id, date_trunc('month', u.hour_at, 'UTC')
ORDER BY 1, 3
ON CONFLICT (entity_id, source, month_at) DO UPDATE SET hours = l.hours + excluded.hours
  WHERE NOT l.hours @> excluded.hours
