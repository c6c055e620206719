CREATE OR REPLACE VIEW tsad.v_quality AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, q.hour_at, q.verdict, q.n_steps, q.detail
  FROM tsad.quality q
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);

COMMENT ON VIEW tsad.v_quality IS 'Sensor trouble by hour: constant, stuck, at_limit, out_of_range, unit_jump, dead, sampling_changed; of counters counter_reset, meter_replaced, spread_over_gap, wraps_unknown.';
COMMENT ON COLUMN tsad.v_quality.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_quality.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_quality.channel IS 'The sensor; in anomalies and incidents the one that carries most of the error.';
COMMENT ON COLUMN tsad.v_quality.hour_at IS 'Beginning of the hour, UTC.';
COMMENT ON COLUMN tsad.v_quality.verdict IS 'constant, stuck, at_limit, out_of_range, unit_jump, dead, sampling_changed, counter_reset, meter_replaced, spread_over_gap or wraps_unknown.';
COMMENT ON COLUMN tsad.v_quality.n_steps IS 'Steps of the grid that this concerns.';
COMMENT ON COLUMN tsad.v_quality.detail IS 'More in words.';

GRANT SELECT ON tsad.v_quality TO tsad_writer, tsad_reader;
