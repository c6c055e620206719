-- Commissioning references that hold, of some entities in a lineage.
SELECT entity_id, channel_id, median, spread, from_at, to_at, meaning, model_id
FROM tsad.commissioning_reference
WHERE lineage = %(lineage)s AND entity_id = ANY(%(entity_ids)s::int[]) AND replaced_at = 'infinity'
