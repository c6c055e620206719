-- What was learned of a machine that a champion does not know.
INSERT INTO tsad.entity_scale AS s (entity_id, channel_ids, centers, scales, scaling, from_at, usable_at, n_running_hours, needed_hours, learned_from)
VALUES (%(entity_id)s, %(channel_ids)s::int[], %(centers)s::float8[], %(scales)s::float8[], %(scaling)s, %(from_at)s, %(usable_at)s,
  %(n_running_hours)s, %(needed_hours)s, %(learned_from)s)
ON CONFLICT (entity_id) DO UPDATE SET channel_ids = excluded.channel_ids, centers = excluded.centers, scales = excluded.scales,
  from_at = excluded.from_at, usable_at = excluded.usable_at, n_running_hours = excluded.n_running_hours, learned_from = excluded.learned_from,
  learned_at = clock_timestamp()
WHERE (s.from_at, s.usable_at, s.n_running_hours, s.learned_from)
  IS DISTINCT FROM (excluded.from_at, excluded.usable_at, excluded.n_running_hours, excluded.learned_from)
