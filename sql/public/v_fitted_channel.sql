CREATE OR REPLACE VIEW tsad.v_fitted_channel AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, f.first_hour_at IS NOT NULL AS fitted, f.first_hour_at
  FROM tsad.dataset d
  JOIN tsad.entity e USING (dataset_id)
  JOIN tsad.channel c USING (dataset_id)
  LEFT JOIN tsad.fitted_channel f ON f.entity_id = e.entity_id AND f.channel_id = c.channel_id;

COMMENT ON VIEW tsad.v_fitted_channel IS 'Which channels an entity has: one row per entity and channel of its dataset.';
COMMENT ON COLUMN tsad.v_fitted_channel.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_fitted_channel.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_fitted_channel.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_fitted_channel.fitted IS 'Whether a value of it was ever read; what was not fitted is neither dead nor missing.';
COMMENT ON COLUMN tsad.v_fitted_channel.first_hour_at IS 'The hour of its first value, UTC; NULL: not fitted.';

GRANT SELECT ON tsad.v_fitted_channel TO tsad_writer, tsad_reader;
