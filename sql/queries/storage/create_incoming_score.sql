-- Hours with scores or memos on their way into the warehouse, column by column as they are copied.
CREATE TEMP TABLE IF NOT EXISTS incoming_score (
  entity_id int, hour_at timestamptz, model_id int, errors real[], thresholds real[], scores real[],
  reasons smallint[], channel_errors real[], status text, coverage real, n_needed int, n_seen int,
  window_digest bigint, score_digest bigint, outside text
) ON COMMIT DELETE ROWS
