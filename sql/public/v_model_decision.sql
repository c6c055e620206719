CREATE OR REPLACE VIEW tsad.v_model_decision AS
  SELECT d.name AS dataset, m.version, g.model_id, g.rule, g.value, g.limit_value, g.champion_value, g.passed, g.note, g.decided_at,
         g.stage, g.low, g.high, g.outcome, g.n, g.n_found, g.decides
  FROM tsad.gate_decision g
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_model_decision IS 'Why a challenger passed the gate and its shadow or did not, rule by rule.';
COMMENT ON COLUMN tsad.v_model_decision.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_model_decision.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_model_decision.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_model_decision.rule IS 'Name of the gate''s rule.';
COMMENT ON COLUMN tsad.v_model_decision.value IS 'What the challenger reached.';
COMMENT ON COLUMN tsad.v_model_decision.limit_value IS 'What it had to reach.';
COMMENT ON COLUMN tsad.v_model_decision.champion_value IS 'What the champion reached on the same readings.';
COMMENT ON COLUMN tsad.v_model_decision.passed IS 'Whether the rule was met.';
COMMENT ON COLUMN tsad.v_model_decision.note IS 'More in words.';
COMMENT ON COLUMN tsad.v_model_decision.decided_at IS 'When this was decided.';
COMMENT ON COLUMN tsad.v_model_decision.stage IS 'gate: before it was ever used; shadow: after it was scored beside the champion.';
COMMENT ON COLUMN tsad.v_model_decision.low IS 'Where value may well lie, 95 %: lower end; NULL where it is no estimate.';
COMMENT ON COLUMN tsad.v_model_decision.high IS 'Upper end.';
COMMENT ON COLUMN tsad.v_model_decision.outcome IS 'met, failed or not_tested: what could not be measured is never met.';
COMMENT ON COLUMN tsad.v_model_decision.n IS 'How many were looked at; NULL where nothing is counted.';
COMMENT ON COLUMN tsad.v_model_decision.n_found IS 'How many of them were found, or flagged.';
COMMENT ON COLUMN tsad.v_model_decision.decides IS 'Whether a model can fail by the rule; others are only shown.';

GRANT SELECT ON tsad.v_model_decision TO tsad_writer, tsad_reader;
