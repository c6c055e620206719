-- The table of the example cold_store.
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS plant.cold_store_log (
  read_at timestamp NOT NULL, room text NOT NULL, sensor text NOT NULL, value double precision);
CREATE INDEX IF NOT EXISTS cold_store_log_at ON plant.cold_store_log (read_at);
COMMENT ON TABLE plant.cold_store_log IS
  'Simulated by tsad: one row per value, times on the clock of Europe/Berlin.';
