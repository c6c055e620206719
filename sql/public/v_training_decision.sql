CREATE OR REPLACE VIEW tsad.v_training_decision AS
  SELECT d.name AS dataset, x.decision_id, x.lineage, x.start_at, x.end_at, x.decision, x.decided_by, x.reason, x.n_readings,
         x.n_entities, x.excluded_share, x.missing_share, x.left_out, x.jumps, x.pdf, x.decided_at
  FROM tsad.training_decision x
  JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_training_decision IS 'Trainings that a person was asked about (training.preview: manual, or tsad retrain --preview), and what came of it; and those that training.max_excluded_share stopped.';
COMMENT ON COLUMN tsad.v_training_decision.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_training_decision.decision_id IS 'Number of the decision.';
COMMENT ON COLUMN tsad.v_training_decision.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_training_decision.start_at IS 'Beginning of the training range, included.';
COMMENT ON COLUMN tsad.v_training_decision.end_at IS 'Its end, not included.';
COMMENT ON COLUMN tsad.v_training_decision.decision IS 'approved: it was trained; stopped: it was not, and the champion stayed.';
COMMENT ON COLUMN tsad.v_training_decision.decided_by IS 'Who answered; nobody: training.unanswered decided; exclusions: more than training.max_excluded_share would have been left out.';
COMMENT ON COLUMN tsad.v_training_decision.reason IS 'How it was answered, or what was too much.';
COMMENT ON COLUMN tsad.v_training_decision.n_readings IS 'Running readings of the range that are not left out.';
COMMENT ON COLUMN tsad.v_training_decision.n_entities IS 'Entities in it.';
COMMENT ON COLUMN tsad.v_training_decision.excluded_share IS 'Share of the running readings that is left out.';
COMMENT ON COLUMN tsad.v_training_decision.missing_share IS 'Share of values that were not read, of the channel where it is largest; NULL: not looked at.';
COMMENT ON COLUMN tsad.v_training_decision.left_out IS 'Share of the running readings left out, by reason.';
COMMENT ON COLUMN tsad.v_training_decision.jumps IS 'Channels whose centre moved most since the training before, in its scales: entity, channel, before, now, shift.';
COMMENT ON COLUMN tsad.v_training_decision.pdf IS 'Where the pictures are; empty: nobody was asked.';
COMMENT ON COLUMN tsad.v_training_decision.decided_at IS 'When it was answered.';

GRANT SELECT ON tsad.v_training_decision TO tsad_writer, tsad_reader;
