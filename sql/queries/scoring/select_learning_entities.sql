-- Entities whose readings of a range may still decide how later ones are seen: changed sensors, and machines without a scale.
SELECT entity_id
FROM tsad.channel_epoch
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND NOT declared AND withdrawn_at IS NULL
  AND from_at - interval '7 days' < %(end_at)s AND coalesce(usable_at, 'infinity') > %(start_at)s
UNION
SELECT entity_id
FROM tsad.entity_scale
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND coalesce(usable_at, 'infinity') > %(start_at)s
