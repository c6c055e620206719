-- Retention: removes scores and memos of some entities and hours; anomalies, incidents and decisions stay.
DELETE FROM tsad.score_block WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
