-- Retirements of a dataset that were said, or taken back, since hours were read; and the hour in which the entity spoke again.
SELECT r.retirement_id, r.from_at, r.withdrawn_at IS NULL AS holds, n.back_at
FROM tsad.retirement r JOIN tsad.entity e USING (entity_id)
LEFT JOIN LATERAL (
  SELECT min(greatest(lower(h), date_trunc('hour', r.from_at - interval '1 microsecond', 'UTC') + interval '1 hour')) AS back_at
  FROM tsad.entity_life l, unnest(l.hours) h
  WHERE l.entity_id = r.entity_id AND upper(h) - interval '1 hour' >= r.from_at) n ON true
WHERE e.dataset_id = %(dataset_id)s AND r.is_read <> (r.withdrawn_at IS NULL)
ORDER BY r.retirement_id
