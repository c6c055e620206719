-- Memos of errors that an incoming row replaces: nobody has seen them as scores.
DELETE FROM tsad.score_block b USING incoming_score i
WHERE b.entity_id = i.entity_id AND b.hour_at = i.hour_at AND b.model_id = i.model_id AND b.superseded_at = 'infinity'
  AND b.thresholds IS NULL AND (i.thresholds IS NOT NULL OR b.errors <> i.errors OR b.reasons <> i.reasons)
