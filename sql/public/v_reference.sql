CREATE OR REPLACE VIEW tsad.v_reference AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, c.unit, r.lineage, r.median, r.spread, r.from_at, r.to_at, r.model_id,
         r.verdict_id, r.recorded_at, nullif(r.replaced_at, 'infinity') AS replaced_at
  FROM tsad.commissioning_reference r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);

COMMENT ON VIEW tsad.v_reference IS 'What each channel was like when it was commissioned, which a training may not leave without a verdict new_normal.';
COMMENT ON COLUMN tsad.v_reference.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_reference.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_reference.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_reference.unit IS 'Unit of median and spread.';
COMMENT ON COLUMN tsad.v_reference.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_reference.median IS 'Median of the readings of [from_at, to_at).';
COMMENT ON COLUMN tsad.v_reference.spread IS 'Their robust standard deviation.';
COMMENT ON COLUMN tsad.v_reference.from_at IS 'Beginning of the readings that it was taken from.';
COMMENT ON COLUMN tsad.v_reference.to_at IS 'Their end.';
COMMENT ON COLUMN tsad.v_reference.model_id IS 'The model that was trained then; see v_model.';
COMMENT ON COLUMN tsad.v_reference.verdict_id IS 'The verdict new_normal that gave rise to it; NULL: the first training.';
COMMENT ON COLUMN tsad.v_reference.recorded_at IS 'When it was written.';
COMMENT ON COLUMN tsad.v_reference.replaced_at IS 'When a verdict new_normal, or another unit of the values, put another one in its place; NULL: it holds.';

GRANT SELECT ON tsad.v_reference TO tsad_writer, tsad_reader;
