CREATE OR REPLACE VIEW tsad.v_model_history AS
  SELECT d.name AS dataset, e.name AS entity, x.lineage, m.version, x.model_id, x.decision, f.version AS former_version,
         x.valid_from, x.decided_by, x.reason, x.decided_at
  FROM tsad.model_decision x
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.model f ON f.model_id = x.former_model_id;

COMMENT ON VIEW tsad.v_model_history IS 'Everything that was decided on models, in order: shadow_started, promoted, rolled_back, …';
COMMENT ON COLUMN tsad.v_model_history.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_model_history.entity IS 'The entity that the model belongs to; NULL: one model for the whole dataset.';
COMMENT ON COLUMN tsad.v_model_history.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_model_history.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_model_history.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_model_history.decision IS 'gate_failed, waits_for_person (no injected anomaly could be tested), waiting (another challenger is in the shadow), shadow_started, asked (a form waits for a person), shadow_failed, superseded, declined, promoted or rolled_back (it is champion again).';
COMMENT ON COLUMN tsad.v_model_history.former_version IS 'Whose place it took; of one that waits: who is in the shadow; of one that was superseded: who came.';
COMMENT ON COLUMN tsad.v_model_history.valid_from IS 'From which hour on.';
COMMENT ON COLUMN tsad.v_model_history.decided_by IS 'gate, shadow, the run that asked, or who said so.';
COMMENT ON COLUMN tsad.v_model_history.reason IS 'Why.';
COMMENT ON COLUMN tsad.v_model_history.decided_at IS 'When this was decided.';

GRANT SELECT ON tsad.v_model_history TO tsad_writer, tsad_reader;
