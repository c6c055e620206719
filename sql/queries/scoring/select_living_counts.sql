-- How many entities of a dataset had rows in the hours of some moments, in their order.
SELECT count(DISTINCT l.entity_id)::int
FROM unnest(%(at)s::timestamptz[]) WITH ORDINALITY AS g(at, number)
LEFT JOIN (tsad.entity_life l JOIN tsad.entity e USING (entity_id))
  ON e.dataset_id = %(dataset_id)s AND l.month_at = date_trunc('month', g.at, 'UTC') AND l.hours @> g.at
GROUP BY g.number ORDER BY g.number
