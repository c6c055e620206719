-- What each of several sources had of an hour, since a row more here and one less there are no equal sums.

CREATE TABLE tsad.ingest_source (
  dataset_id    int NOT NULL,
  hour_at       timestamptz NOT NULL,
  source        text NOT NULL,
  n_rows        bigint NOT NULL,
  newest_at     timestamptz,
  updated_until timestamptz,
  PRIMARY KEY (dataset_id, hour_at, source)
);
COMMENT ON TABLE tsad.ingest_source IS 'The ledger of datasets of several sources: what each of them had of an hour when it was read.';
COMMENT ON COLUMN tsad.ingest_source.source IS 'Its connection, with a number where several sources have the same.';
COMMENT ON COLUMN tsad.ingest_source.newest_at IS 'Time of its newest row that was taken.';
COMMENT ON COLUMN tsad.ingest_source.updated_until IS 'The newest change of its rows, by its own clock (source.updated_at); NULL: it does not say.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.ingest_source TO tsad_writer;
