-- Attributions on their way into the warehouse, column by column as they are copied.
CREATE TEMP TABLE IF NOT EXISTS incoming_attribution (
  entity_id int, at timestamptz, model_id int, channel_id int, share real, actual float8, expected float8,
  spread float8, step_shares real[]
) ON COMMIT DELETE ROWS
