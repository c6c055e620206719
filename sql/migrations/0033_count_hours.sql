-- Hours that have a score are counted from this alone, a thirtieth of what the blocks take.
CREATE INDEX score_block_scored ON tsad.score_block (model_id, hour_at, entity_id)
  WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL;
