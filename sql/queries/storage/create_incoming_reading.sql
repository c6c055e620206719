-- Blocks of readings on their way into the warehouse, column by column as they are copied.
CREATE TEMP TABLE IF NOT EXISTS incoming_reading (
  entity_id int, hour_at timestamptz, layout_id int, checksum bigint, values float8[], summary bytea, n_values bytea
) ON COMMIT DELETE ROWS
