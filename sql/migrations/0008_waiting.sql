-- Challengers that wait for their place in the shadow, and forms that are asked once.

ALTER TABLE tsad.model_decision DROP CONSTRAINT model_decision_decision_check;
ALTER TABLE tsad.model_decision ADD CONSTRAINT model_decision_decision_check CHECK (decision IN
  ('gate_failed', 'waiting', 'shadow_started', 'asked', 'shadow_failed', 'superseded', 'declined', 'promoted', 'rolled_back'));

COMMENT ON COLUMN tsad.v_model_history.decision IS 'gate_failed, waiting (another challenger is in the shadow), shadow_started, asked (a form waits for a person), shadow_failed, superseded, declined, promoted or rolled_back (it is champion again).';
COMMENT ON COLUMN tsad.v_model_history.former_version IS 'Whose place it took; of one that waits: who is in the shadow; of one that was superseded: who came.';
COMMENT ON COLUMN tsad.v_model_history.decided_by IS 'gate, shadow, the run that asked, or who said so.';
