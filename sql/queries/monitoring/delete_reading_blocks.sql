-- Retention: removes readings of some entities and hours.
DELETE FROM tsad.reading_block WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
