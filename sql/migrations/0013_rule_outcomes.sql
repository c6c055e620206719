-- What became of a rule is met, failed or not tested; what was counted stands beside it.

ALTER TABLE tsad.gate_decision
  ADD COLUMN outcome text,
  ADD COLUMN n bigint,
  ADD COLUMN n_found bigint,
  ADD COLUMN decides boolean NOT NULL DEFAULT true;
UPDATE tsad.gate_decision SET
  decides = rule NOT IN ('held_out_error', 'delay_s', 'score_drift', 'size_bytes'),
  outcome = CASE
    WHEN NOT passed OR (rule = 'score_drift' AND value > limit_value) THEN 'failed'
    WHEN note LIKE 'not tested%' OR note LIKE 'too few known anomalies%' OR note LIKE 'no champion to compare with%'
      OR note LIKE 'nothing to compare with%' OR (rule = 'not_worse' AND note LIKE 'no standard:%') THEN 'not_tested'
    WHEN value IS NULL AND rule <> 'finite_loss' THEN 'not_tested'
    ELSE 'met' END;
ALTER TABLE tsad.gate_decision
  ALTER COLUMN outcome SET NOT NULL,
  ADD CONSTRAINT gate_decision_outcome_check CHECK (outcome IN ('met', 'failed', 'not_tested')),
  ADD CONSTRAINT gate_decision_passed_check CHECK (passed = (outcome <> 'failed' OR NOT decides));
COMMENT ON COLUMN tsad.gate_decision.outcome IS 'met, failed or not_tested: what could not be measured is never met.';
COMMENT ON COLUMN tsad.gate_decision.n IS 'How many were looked at (anomalies, steps, incidents, channels); NULL where nothing is counted.';
COMMENT ON COLUMN tsad.gate_decision.n_found IS 'How many of them were found, or flagged.';
COMMENT ON COLUMN tsad.gate_decision.decides IS 'Whether a model can fail by the rule; others are only shown.';
COMMENT ON COLUMN tsad.gate_decision.passed IS 'Whether the rule lets the model pass: unless it decides and is failed.';

CREATE OR REPLACE VIEW tsad.v_model_decision AS
  SELECT d.name AS dataset, m.version, g.model_id, g.rule, g.value, g.limit_value, g.champion_value, g.passed, g.note, g.decided_at,
         g.stage, g.low, g.high, g.outcome, g.n, g.n_found, g.decides
  FROM tsad.gate_decision g
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON COLUMN tsad.v_model_decision.outcome IS 'met, failed or not_tested: what could not be measured is never met.';
COMMENT ON COLUMN tsad.v_model_decision.n IS 'How many were looked at; NULL where nothing is counted.';
COMMENT ON COLUMN tsad.v_model_decision.n_found IS 'How many of them were found, or flagged.';
COMMENT ON COLUMN tsad.v_model_decision.decides IS 'Whether a model can fail by the rule; others are only shown.';
