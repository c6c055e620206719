-- Summaries of older blocks on their way into the warehouse.
CREATE TEMP TABLE IF NOT EXISTS incoming_summary (
  entity_id int, hour_at timestamptz, summary bytea
) ON COMMIT DELETE ROWS
