-- Entities of a dataset that had rows in some hour of a range, oldest first.
SELECT e.name, e.entity_id
FROM tsad.entity e
WHERE e.dataset_id = %(dataset_id)s AND e.entity_id IN (
  SELECT l.entity_id FROM tsad.entity_life l
  WHERE l.month_at >= date_trunc('month', %(start_at)s::timestamptz, 'UTC') AND l.month_at < %(end_at)s
    AND l.hours && tstzrange(%(start_at)s::timestamptz, %(end_at)s::timestamptz))
ORDER BY e.entity_id
