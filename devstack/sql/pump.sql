-- The table of one pump of the example pumps.
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS {table} (
  at timestamptz NOT NULL, speed double precision, flow double precision, pressure double precision,
  current double precision, vibration double precision);
CREATE INDEX IF NOT EXISTS {index} ON {table} (at);
COMMENT ON TABLE {table} IS 'Simulated by tsad: one row per minute.';
