-- Forgets states before a moment, but for the last one of each day.
DELETE FROM tsad.fold_state
WHERE model_id = %(model_id)s AND entity_id = ANY(%(entity_ids)s::int[]) AND hour_at < %(before_at)s
  AND extract(hour FROM hour_at AT TIME ZONE 'UTC') <> 23
