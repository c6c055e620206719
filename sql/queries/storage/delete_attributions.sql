-- Clears the attributions of re-scored hours.
DELETE FROM tsad.attribution r USING incoming_score h
WHERE r.entity_id = h.entity_id AND r.model_id = h.model_id AND h.thresholds IS NOT NULL
  AND r.at >= h.hour_at AND r.at < h.hour_at + interval '1 hour'
