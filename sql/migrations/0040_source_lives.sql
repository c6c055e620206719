-- Of datasets of several sources the hours in which each had rows of an entity: what one of them lacked is counted again, though others spoke.
CREATE TABLE tsad.source_life (
  entity_id int NOT NULL REFERENCES tsad.entity,
  source    text NOT NULL,
  month_at  timestamptz NOT NULL,
  hours     tstzmultirange NOT NULL,
  PRIMARY KEY (entity_id, source, month_at)
) WITH (fillfactor = 70);
COMMENT ON TABLE tsad.source_life IS 'The stretches of life of each entity in each of several sources: the hours in which that source had rows of it, by month; see entity_life.';
COMMENT ON COLUMN tsad.source_life.source IS 'Name of the source.';
COMMENT ON COLUMN tsad.source_life.month_at IS 'Beginning of the month, UTC.';
COMMENT ON COLUMN tsad.source_life.hours IS 'Whole hours with rows; neighbouring ones are one range.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.source_life TO tsad_writer;
