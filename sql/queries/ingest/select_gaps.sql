-- Stretches of a range in which entities that spoke before were silent, also in one of several sources; and when rows came late.
SELECT l.entity_id, lower(g.hours) AS start_at, upper(g.hours) AS end_at, upper(g.hours) < %(end_at)s::timestamptz AS is_over, a.arrived_at
FROM (
  SELECT m.entity_id, '' AS source, range_agg(m.hours) AS hours
  FROM tsad.entity_life m JOIN tsad.entity e USING (entity_id)
  WHERE e.dataset_id = %(dataset_id)s AND m.month_at < %(end_at)s
    AND m.month_at >= date_trunc('month', %(start_at)s::timestamptz, 'UTC') - interval '1 month'
  GROUP BY m.entity_id
  UNION ALL
  SELECT m.entity_id, m.source, range_agg(m.hours) AS hours
  FROM tsad.source_life m JOIN tsad.entity e USING (entity_id)
  WHERE e.dataset_id = %(dataset_id)s AND m.month_at < %(end_at)s
    AND m.month_at >= date_trunc('month', %(start_at)s::timestamptz, 'UTC') - interval '1 month'
  GROUP BY m.entity_id, m.source) l
CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange(%(start_at)s::timestamptz, %(end_at)s::timestamptz)) - l.hours) AS g(hours)
LEFT JOIN LATERAL (SELECT max(h.arrived_at) AS arrived_at FROM tsad.late_hour h WHERE h.entity_id = l.entity_id) a ON true
WHERE l.hours && tstzrange(NULL, lower(g.hours) + interval '1 microsecond')
ORDER BY l.entity_id, start_at, end_at, l.source
