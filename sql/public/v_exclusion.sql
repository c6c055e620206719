CREATE OR REPLACE VIEW tsad.v_exclusion AS
  SELECT d.name AS dataset, m.version, x.model_id, e.name AS entity, x.start_at, x.end_at, x.reason, x.n_steps, x.channel
  FROM tsad.exclusion x
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.entity e ON e.entity_id = x.entity_id;

COMMENT ON VIEW tsad.v_exclusion IS 'What each training left out, and why.';
COMMENT ON COLUMN tsad.v_exclusion.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_exclusion.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_exclusion.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_exclusion.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_exclusion.start_at IS 'Beginning, included.';
COMMENT ON COLUMN tsad.v_exclusion.end_at IS 'End, not included.';
COMMENT ON COLUMN tsad.v_exclusion.reason IS 'Why it was left out.';
COMMENT ON COLUMN tsad.v_exclusion.n_steps IS 'Steps of the grid that this concerns.';
COMMENT ON COLUMN tsad.v_exclusion.channel IS 'The one channel that was left out; NULL: all channels.';

GRANT SELECT ON tsad.v_exclusion TO tsad_writer, tsad_reader;
