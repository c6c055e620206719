-- Hours whose rows came late: what is scored anew for them, and told as found late.
CREATE TABLE tsad.late_hour (
  entity_id  int NOT NULL REFERENCES tsad.entity,
  hour_at    timestamptz NOT NULL,
  arrived_at timestamptz NOT NULL,
  PRIMARY KEY (entity_id, hour_at)
);
CREATE INDEX late_hour_arrived ON tsad.late_hour (arrived_at);
COMMENT ON TABLE tsad.late_hour IS 'Hours of entities that were read again, since rows came of them that were missing when they were read first (source.late).';
COMMENT ON COLUMN tsad.late_hour.arrived_at IS 'End of the interval by whose run their rows were found, the newest one.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.late_hour TO tsad_writer;
