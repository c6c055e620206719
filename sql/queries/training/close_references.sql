-- Ends commissioning references that a verdict new_normal puts others in place of, the same verdict once, and those of values in another unit.
UPDATE tsad.commissioning_reference t SET replaced_at = greatest(clock_timestamp(), t.recorded_at)
FROM unnest(%(entity_id)s::int[], %(channel_id)s::int[], %(verdict_id)s::bigint[], %(meaning)s::text[], %(is_other)s::boolean[])
  AS u(entity_id, channel_id, verdict_id, meaning, is_other)
WHERE t.lineage = %(lineage)s AND t.entity_id = u.entity_id AND t.channel_id = u.channel_id AND t.replaced_at = 'infinity'
  AND ((u.verdict_id IS NOT NULL AND t.verdict_id IS DISTINCT FROM u.verdict_id) OR (u.is_other AND t.meaning IS DISTINCT FROM u.meaning))
