-- Notes the hours of first values that are earlier than those known; gives them beside what was known.
WITH earlier AS (
  SELECT u.entity_id, u.channel_id, u.hour_at, f.first_hour_at AS known_at
  FROM unnest(%(entity_id)s::int[], %(channel_id)s::int[], %(hour_at)s::timestamptz[]) AS u(entity_id, channel_id, hour_at)
  LEFT JOIN tsad.fitted_channel f ON f.entity_id = u.entity_id AND f.channel_id = u.channel_id
  WHERE f.first_hour_at IS NULL OR u.hour_at < f.first_hour_at
), noted AS (
  INSERT INTO tsad.fitted_channel (entity_id, channel_id, first_hour_at)
  SELECT entity_id, channel_id, hour_at FROM earlier
  ON CONFLICT (entity_id, channel_id) DO UPDATE SET first_hour_at = excluded.first_hour_at
)
SELECT entity_id, channel_id, hour_at, known_at FROM earlier ORDER BY 1, 2
