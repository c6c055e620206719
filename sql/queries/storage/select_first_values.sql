-- The hours of the first values of some entities' channels.
SELECT entity_id, channel_id, first_hour_at AS hour_at
FROM tsad.fitted_channel
WHERE entity_id = ANY(%(entity_ids)s::int[])
