-- Anomalies on their way into the warehouse, column by column as they are copied.
CREATE TEMP TABLE IF NOT EXISTS incoming_anomaly (
  entity_id int, at timestamptz, hour_at timestamptz, model_id int, kind text, severity text, error real,
  threshold real, score real, provisional boolean
) ON COMMIT DELETE ROWS
