-- Two clocks are never compared: what the source's or Airflow's says stands beside what the warehouse's says.

ALTER TABLE tsad.ingest_hour ADD COLUMN updated_until timestamptz;
-- Of what was read before, only the time of reading is known.
UPDATE tsad.ingest_hour SET updated_until = read_at;
COMMENT ON COLUMN tsad.ingest_hour.updated_until IS 'The newest change of the hour''s rows when it was read, by the source''s own clock (source.updated_at); NULL: not asked.';

ALTER TABLE tsad.training_decision ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE tsad.training_decision SET recorded_at = decided_at;
COMMENT ON COLUMN tsad.training_decision.recorded_at IS 'When it was written, by the warehouse''s clock; decided_at is by the clock of whoever answered.';
