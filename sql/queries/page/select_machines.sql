-- Machines of a dataset: alive, silent since when, or retired.
SELECT entity, state, silent_since, last_seen_at, retired_why, carrier FROM tsad.v_entity WHERE dataset = %(dataset)s ORDER BY entity
