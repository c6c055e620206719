-- The page asks which hours of a span were not scored, of months of which almost all were.
CREATE INDEX score_block_unscored ON tsad.score_block (hour_at)
  WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL AND status NOT IN ('scored', 'partial', 'unknown_entity_scale', 'off', 'waiting');
