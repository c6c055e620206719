-- The table of the example server_room.
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS plant.server_metrics (
  at timestamptz NOT NULL, host text NOT NULL, cpu double precision, memory double precision,
  disk double precision, network double precision, temperature double precision);
CREATE INDEX IF NOT EXISTS server_metrics_at ON plant.server_metrics (at);
COMMENT ON TABLE plant.server_metrics IS 'Simulated by tsad: one row per host and minute.';
