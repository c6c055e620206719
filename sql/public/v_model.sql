CREATE OR REPLACE VIEW tsad.v_model AS
  SELECT d.name AS dataset, m.model_id, m.version, e.name AS entity, m.lineage, m.detector, m.train_start_at, m.train_end_at,
         m.gate_passed, p.valid_from, nullif(p.valid_to, 'infinity') AS valid_to, coalesce(p.valid_to = 'infinity', false) AS champion, m.n_parameters, m.seed,
         m.parent_model_id, m.config_hash, m.sha256, m.artifact_uri, m.card, m.created_at,
         CASE WHEN s.valid_to = 'infinity' THEN 'shadow' WHEN p.valid_to = 'infinity' THEN 'champion'
              WHEN p.valid_from IS NOT NULL THEN 'former champion' WHEN NOT m.gate_passed THEN 'gate failed'
              -- Its period as champion is gone, of which no hour was left.
              WHEN l.decision = 'promoted' THEN 'rolled back'
              ELSE coalesce(replace(l.decision, '_', ' '), 'registered') END AS state,
         s.valid_from AS shadow_from, nullif(s.valid_to, 'infinity') AS shadow_to, m.pruned_at, m.pruned_because,
         m.is_young AS young, tsad.weekdays_text(m.weekdays_seen) AS unknown_weekdays, m.weekdays_seen
  FROM tsad.model m
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.champion_period p ON p.model_id = m.model_id AND p.lineage = m.lineage
  LEFT JOIN tsad.champion_period s ON s.model_id = m.model_id AND s.lineage = m.lineage || '/shadow'
  LEFT JOIN LATERAL (
    SELECT x.decision FROM tsad.model_decision x WHERE x.model_id = m.model_id ORDER BY x.decision_id DESC LIMIT 1) l ON true;

COMMENT ON VIEW tsad.v_model IS 'Every model: what it was trained on, whether it passed the gate, when it was champion.';
COMMENT ON COLUMN tsad.v_model.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_model.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_model.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_model.entity IS 'The entity that it belongs to; NULL: one model for the whole dataset.';
COMMENT ON COLUMN tsad.v_model.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_model.detector IS 'Kind of model.';
COMMENT ON COLUMN tsad.v_model.train_start_at IS 'Beginning of the training range.';
COMMENT ON COLUMN tsad.v_model.train_end_at IS 'End of the training range; the model is never used before it.';
COMMENT ON COLUMN tsad.v_model.gate_passed IS 'Whether it passed all rules of the gate; NULL before the gate.';
COMMENT ON COLUMN tsad.v_model.valid_from IS 'From which hour on it was champion; NULL: never.';
COMMENT ON COLUMN tsad.v_model.valid_to IS 'Up to which hour it was champion; NULL: until now, or never: see champion.';
COMMENT ON COLUMN tsad.v_model.champion IS 'Whether it is champion now.';
COMMENT ON COLUMN tsad.v_model.n_parameters IS 'Trained weights.';
COMMENT ON COLUMN tsad.v_model.seed IS 'Seed of weights, batches and injected anomalies.';
COMMENT ON COLUMN tsad.v_model.parent_model_id IS 'The model whose weights it started from.';
COMMENT ON COLUMN tsad.v_model.config_hash IS 'Hash of all settings that affect errors, scores and flags.';
COMMENT ON COLUMN tsad.v_model.sha256 IS 'Hash of the bundle''s manifest, checked at load.';
COMMENT ON COLUMN tsad.v_model.artifact_uri IS 'Where the bundle is.';
COMMENT ON COLUMN tsad.v_model.card IS 'The model card: data, training, calibration.';
COMMENT ON COLUMN tsad.v_model.created_at IS 'When it was registered.';
COMMENT ON COLUMN tsad.v_model.state IS 'champion, shadow, former champion, gate failed, waits for person (no injected anomaly could be tested: a person promotes it), rolled back (before it scored an hour), or what was last decided on it.';
COMMENT ON COLUMN tsad.v_model.shadow_from IS 'From which hour on it was scored beside the champion.';
COMMENT ON COLUMN tsad.v_model.shadow_to IS 'Up to which hour; NULL: it still is, or never was: see state.';
COMMENT ON COLUMN tsad.v_model.pruned_at IS 'When its bundle was removed, after which it cannot score any more; NULL: the bundle is kept.';
COMMENT ON COLUMN tsad.v_model.pruned_because IS 'Why nothing needed it any more; NULL: the bundle is kept.';
COMMENT ON COLUMN tsad.v_model.young IS 'Trained on readings that did not fill training.range, some weekday of them seen fewer than three times; it is trained anew every day.';
COMMENT ON COLUMN tsad.v_model.unknown_weekdays IS 'Weekdays that its training range shows fewer than three times, on the clocks of the site; NULL: none, or never counted.';
COMMENT ON COLUMN tsad.v_model.weekdays_seen IS 'How often its training range shows each weekday, Monday first; NULL: trained before that was counted.';

GRANT SELECT ON tsad.v_model TO tsad_writer, tsad_reader;
