CREATE OR REPLACE VIEW tsad.v_series AS
  SELECT d.name AS dataset, s.source, replace(s.series, chr(31), '/') AS series, s.entity, s.channel, s.valid_from, s.valid_to
  FROM tsad.series s
  JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_series IS 'What the source''s series are and were called: one row per series and name.';
COMMENT ON COLUMN tsad.v_series.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_series.source IS 'The connection, what says the names (a tags file or a dictionary), and the columns with the id.';
COMMENT ON COLUMN tsad.v_series.series IS 'The id by the source, of several columns with / between them.';
COMMENT ON COLUMN tsad.v_series.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_series.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_series.valid_from IS 'Since when the series is called so; NULL: since the beginning.';
COMMENT ON COLUMN tsad.v_series.valid_to IS 'Until when; NULL: it is called so now.';

GRANT SELECT ON tsad.v_series TO tsad_writer, tsad_reader;
