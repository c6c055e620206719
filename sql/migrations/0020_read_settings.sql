-- By which settings of the dataset file an hour was read, so that hours that others would read otherwise are known.
CREATE TABLE tsad.read_settings (
  dataset_id int NOT NULL,
  digest     text NOT NULL,
  settings   jsonb NOT NULL,
  noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (dataset_id, digest)
);
COMMENT ON TABLE tsad.read_settings IS 'What of a dataset file decided which values hours got, once for each such settings; what is at its default is not named.';
COMMENT ON COLUMN tsad.read_settings.digest IS 'Of the settings, but for the connections; ingest_hour.settings names it.';
COMMENT ON COLUMN tsad.read_settings.settings IS 'sources: of each what it says; scales: of series whose scale or offset in the tags file or dictionary was another once.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.read_settings TO tsad_writer;

ALTER TABLE tsad.ingest_hour ADD COLUMN settings text;
COMMENT ON COLUMN tsad.ingest_hour.settings IS 'By what it was read: read_settings.digest; NULL: read before that was kept, so nothing is known of it.';

CREATE TABLE tsad.series_scale (
  dataset_id int NOT NULL,
  source     text NOT NULL,
  series     text NOT NULL,
  entity     text NOT NULL,
  channel    text NOT NULL,
  measures   double precision[] NOT NULL,
  PRIMARY KEY (dataset_id, source, series, entity, channel)
);
COMMENT ON TABLE tsad.series_scale IS 'How the first hours of a series were scaled, of those series whose scale or offset has been changed since.';
COMMENT ON COLUMN tsad.series_scale.measures IS 'Scale and offset, one pair for each of its lines in the order of their times.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.series_scale TO tsad_writer;
