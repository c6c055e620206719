-- Retires an entity; gives the number of the retirement.
SELECT tsad.retire_entity(%(dataset)s, %(entity)s, %(why)s, %(from_at)s::timestamptz, %(said_by)s) AS retirement_id
