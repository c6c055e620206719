CREATE OR REPLACE VIEW tsad.v_ingest AS
  SELECT d.name AS dataset, h.hour_at, h.n_rows, h.n_readings, h.newest_at, h.lag_s, h.read_until, h.read_at,
         (SELECT jsonb_object_agg(s.issue, s.n) FROM (
            SELECT x.issue, sum(x.n_rows) AS n FROM tsad.ingest_issue x
            WHERE x.dataset_id = h.dataset_id AND x.hour_at = h.hour_at GROUP BY x.issue) s) AS issues,
         (SELECT jsonb_agg(jsonb_build_object('issue', x.issue, 'entity', nullif(x.entity, ''), 'channel', nullif(x.channel, ''),
                                              'n_rows', x.n_rows, 'detail', x.detail) ORDER BY x.issue, x.entity, x.channel)
          FROM tsad.ingest_issue x WHERE x.dataset_id = h.dataset_id AND x.hour_at = h.hour_at) AS places,
         (SELECT jsonb_object_agg(s.source, s.n_rows) FROM tsad.ingest_source s
          WHERE s.dataset_id = h.dataset_id AND s.hour_at = h.hour_at) AS sources
  FROM tsad.ingest_hour h JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_ingest IS 'What was read from the source, hour by hour, with everything that was not taken as it came.';
COMMENT ON COLUMN tsad.v_ingest.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_ingest.hour_at IS 'Beginning of the hour, UTC.';
COMMENT ON COLUMN tsad.v_ingest.n_rows IS 'Rows of the source.';
COMMENT ON COLUMN tsad.v_ingest.n_readings IS 'Readings of all entities that were taken.';
COMMENT ON COLUMN tsad.v_ingest.newest_at IS 'Time of the newest reading of the hour.';
COMMENT ON COLUMN tsad.v_ingest.lag_s IS 'Seconds from the newest reading to the moment it was read; NULL when it was not read live.';
COMMENT ON COLUMN tsad.v_ingest.read_until IS 'How far the hour has been read.';
COMMENT ON COLUMN tsad.v_ingest.read_at IS 'When it was last read.';
COMMENT ON COLUMN tsad.v_ingest.issues IS 'Rows that were not taken as they came, by issue.';
COMMENT ON COLUMN tsad.v_ingest.places IS 'The same by issue, entity and channel, with n_rows and a detail in words; NULL entity or channel: several, or none.';
COMMENT ON COLUMN tsad.v_ingest.sources IS 'Rows by source, where the dataset has several; NULL where it has one.';

GRANT SELECT ON tsad.v_ingest TO tsad_writer, tsad_reader;
