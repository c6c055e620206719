-- In which of several tables the rows of an entity came: where rows are events, a table that is gone is no word that there were none.
CREATE TABLE tsad.entity_table (
  entity_id  int NOT NULL REFERENCES tsad.entity,
  source     text NOT NULL,
  table_name text NOT NULL,
  first_at   timestamptz NOT NULL,
  last_day   date NOT NULL,
  PRIMARY KEY (entity_id, source, table_name)
);
COMMENT ON TABLE tsad.entity_table IS 'Of datasets with channels of events: the tables of a pattern in which rows of each entity came.';
COMMENT ON COLUMN tsad.entity_table.source IS 'Name of the source among several; empty: it is the only one.';
COMMENT ON COLUMN tsad.entity_table.first_at IS 'The first hour that was read with a row of the entity in this table.';
COMMENT ON COLUMN tsad.entity_table.last_day IS 'Day, UTC, of the last hour that was read with a row of the entity in this table.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.entity_table TO tsad_writer;
