-- Changes of sensors that hold and that began before a moment, of some entities, in the order in which they came.
SELECT epoch_id, entity_id, channel_id, from_at, usable_at, scale, "offset", declared, needed_hours, learned_from
FROM tsad.channel_epoch
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND from_at < %(before_at)s AND withdrawn_at IS NULL
ORDER BY from_at, epoch_id
