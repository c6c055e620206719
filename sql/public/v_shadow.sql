CREATE OR REPLACE VIEW tsad.v_shadow AS
  SELECT d.name AS dataset, e.name AS entity, c.hour_at, p.lineage, n.version AS challenger_version, o.version AS champion_version,
         c.status AS challenger_status, b.status AS champion_status, u.n_paired, u.n_agreed, u.n_challenger_flags, u.n_champion_flags
  FROM tsad.champion_period h
  JOIN tsad.score_block c ON c.model_id = h.model_id AND c.hour_at >= h.valid_from AND c.hour_at < h.valid_to
    AND c.superseded_at = 'infinity' AND c.thresholds IS NOT NULL
  JOIN tsad.champion_period p ON p.lineage || '/shadow' = h.lineage AND p.dataset_id = h.dataset_id
    AND p.scope_entity_id = h.scope_entity_id AND c.hour_at >= p.valid_from AND c.hour_at < p.valid_to
  JOIN tsad.score_block b ON b.model_id = p.model_id AND b.entity_id = c.entity_id AND b.hour_at = c.hour_at
    AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  JOIN tsad.model n ON n.model_id = c.model_id
  JOIN tsad.model o ON o.model_id = b.model_id
  JOIN tsad.entity e ON e.entity_id = c.entity_id
  JOIN tsad.dataset d ON d.dataset_id = h.dataset_id
  CROSS JOIN LATERAL tsad.step_agreement(c.scores, b.scores) AS u (n_paired, n_agreed, n_challenger_flags, n_champion_flags);

COMMENT ON VIEW tsad.v_shadow IS 'A challenger beside its champion, hour by hour, on the steps that both have scored. Challengers in the shadow never alert.';
COMMENT ON COLUMN tsad.v_shadow.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_shadow.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_shadow.hour_at IS 'Beginning of the hour, UTC.';
COMMENT ON COLUMN tsad.v_shadow.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_shadow.challenger_version IS 'Number of the challenger within its dataset.';
COMMENT ON COLUMN tsad.v_shadow.champion_version IS 'Number of the champion within its dataset.';
COMMENT ON COLUMN tsad.v_shadow.challenger_status IS 'The hour''s status as scored by the challenger; see v_status.';
COMMENT ON COLUMN tsad.v_shadow.champion_status IS 'The hour''s status as scored by the champion; see v_status.';
COMMENT ON COLUMN tsad.v_shadow.n_paired IS 'Steps that both have scored.';
COMMENT ON COLUMN tsad.v_shadow.n_agreed IS 'Steps of these that both flag, or neither.';
COMMENT ON COLUMN tsad.v_shadow.n_challenger_flags IS 'Steps of these that the challenger flags.';
COMMENT ON COLUMN tsad.v_shadow.n_champion_flags IS 'Steps of these that the champion flags.';

GRANT SELECT ON tsad.v_shadow TO tsad_writer, tsad_reader;
