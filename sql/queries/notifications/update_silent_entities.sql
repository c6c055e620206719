-- Ends the part of entities in their silences.
UPDATE tsad.silent_entity m SET ended_at = %(ended_at)s, is_back = %(is_back)s
WHERE m.entity_id = ANY(%(entity_ids)s::int[]) AND m.ended_at IS NULL
