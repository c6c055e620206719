-- Clears the verdicts on sensors of hours that are judged again, but for those that are said where rows are read.
DELETE FROM tsad.quality
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at = ANY(%(hours)s::timestamptz[]) AND verdict <> ALL(%(kept)s::text[])
