-- Of entities: the first hour with rows, and each time from which on one was retired, with the hour in which it spoke again.
SELECT e.entity_id, w.first_at, r.from_at AS retired_at, n.back_at
FROM unnest(%(entity_ids)s::int[]) AS e(entity_id)
CROSS JOIN LATERAL (SELECT min(lower(l.hours)) AS first_at FROM tsad.entity_life l WHERE l.entity_id = e.entity_id) w
LEFT JOIN tsad.retirement r ON r.entity_id = e.entity_id AND r.withdrawn_at IS NULL
LEFT JOIN LATERAL (
  SELECT min(greatest(lower(h), date_trunc('hour', r.from_at - interval '1 microsecond', 'UTC') + interval '1 hour')) AS back_at
  FROM tsad.entity_life l, unnest(l.hours) h
  WHERE l.entity_id = e.entity_id AND upper(h) - interval '1 hour' >= r.from_at) n ON true
