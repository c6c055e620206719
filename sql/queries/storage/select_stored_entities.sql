-- Entities of a dataset that have a block in some hour of a range, be there no value in it, oldest first.
SELECT e.name, e.entity_id
FROM tsad.entity e
WHERE e.dataset_id = %(dataset_id)s AND EXISTS (
  SELECT FROM tsad.reading_block r
  WHERE r.entity_id = e.entity_id AND r.hour_at >= %(start_at)s AND r.hour_at < %(end_at)s)
ORDER BY e.entity_id
