-- Hours with readings, by entity, in a range: what a new entity must gather before it has a scale of its own.
SELECT entity_id, count(*) AS n_hours, min(hour_at) AS first_at, max(hour_at) AS last_at FROM tsad.reading_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s GROUP BY entity_id
