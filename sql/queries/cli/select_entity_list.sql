-- Entities of a dataset, those that are not alive first.
SELECT entity, state, first_seen_at, last_seen_at, carrier, retired_by, retired_why
FROM tsad.v_entity
WHERE dataset = %(dataset)s AND (state = %(state)s OR %(state)s = '')
ORDER BY state = 'alive', state DESC, last_seen_at DESC, entity
