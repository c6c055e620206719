-- What a source's series are called, and since when: an hour that is read again gets the names that it had.
CREATE TABLE tsad.series (
  dataset_id int NOT NULL,
  source     text NOT NULL,
  series     text NOT NULL,
  entity     text NOT NULL,
  channel    text NOT NULL,
  scale      double precision NOT NULL,
  "offset"   double precision NOT NULL,
  valid_from timestamptz,
  valid_to   timestamptz,
  UNIQUE NULLS NOT DISTINCT (dataset_id, source, series, valid_from)
);
COMMENT ON TABLE tsad.series IS 'Which channel of which entity a series of the source is, a row for each of its names and times.';
COMMENT ON COLUMN tsad.series.source IS 'Where its id is from: the connection, and what says its name.';
COMMENT ON COLUMN tsad.series.series IS 'The id by the source, its parts with the character 31 between them.';
COMMENT ON COLUMN tsad.series.valid_from IS 'NULL: since the beginning.';
COMMENT ON COLUMN tsad.series.valid_to IS 'NULL: it is called so now.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.series TO tsad_writer;

ALTER TABLE tsad.dataset ADD COLUMN series_version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN tsad.dataset.series_version IS 'Grows when the name of a series changes, so that whoever reads hours meanwhile sees it.';
