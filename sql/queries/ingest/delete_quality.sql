-- Clears the verdicts on sensors of hours that are judged again.
DELETE FROM tsad.quality WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at = ANY(%(hours)s::timestamptz[])
