-- Models that carry a state from reading to reading, and attributions by step of the window.

ALTER TABLE tsad.model ADD COLUMN folds boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tsad.model.folds IS 'Its errors depend on all readings since the end of its training, not only on those within its reach.';

CREATE TABLE tsad.fold_state (
  model_id  int NOT NULL,
  entity_id int NOT NULL,
  hour_at   timestamptz NOT NULL,
  digest    bigint NOT NULL,
  state     bytea NOT NULL,
  PRIMARY KEY (model_id, entity_id, hour_at)
);
COMMENT ON TABLE tsad.fold_state IS 'What a folding model remembered of an entity after an hour: a memo, which any change of an earlier reading makes worthless.';
COMMENT ON COLUMN tsad.fold_state.digest IS 'Hash of the reading blocks from the end of training up to and including the hour.';

ALTER TABLE tsad.attribution ADD COLUMN step_shares real[];
COMMENT ON COLUMN tsad.attribution.step_shares IS 'Share of the whole error by step of the window, oldest first; they add up to share. NULL where only the channel is known.';

CREATE OR REPLACE VIEW tsad.v_attribution AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, r.share, r.actual, r.expected, r.spread, r.model_id,
         top.step, top.share AS step_share
  FROM tsad.attribution r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  LEFT JOIN LATERAL (
    SELECT s.step::int AS step, s.share FROM unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
    ORDER BY s.share DESC, s.step DESC LIMIT 1) top ON true;
COMMENT ON COLUMN tsad.v_attribution.step IS 'The step of the window that carries most of the channel''s error: 1 is the oldest, the last one is the flagged reading itself.';
COMMENT ON COLUMN tsad.v_attribution.step_share IS 'Share of that step and channel in the whole error.';

CREATE VIEW tsad.v_attribution_step AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, s.step::int AS step,
         r.at - make_interval(secs => (cardinality(r.step_shares) - s.step) * d.step_s) AS step_at, s.share, r.model_id
  FROM tsad.attribution r
  CROSS JOIN LATERAL unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_attribution_step IS 'Which steps of which channels made a flagged reading strange: a row per step of its window.';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.fold_state TO tsad_writer;
GRANT SELECT ON tsad.v_attribution_step TO tsad_writer, tsad_reader;

COMMENT ON COLUMN tsad.v_attribution_step.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_attribution_step.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_attribution_step.at IS 'Time of the flagged reading, UTC.';
COMMENT ON COLUMN tsad.v_attribution_step.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_attribution_step.unit IS 'Unit of the channel.';
COMMENT ON COLUMN tsad.v_attribution_step.step IS 'Place in the window: 1 is the oldest, the last one is the flagged reading itself.';
COMMENT ON COLUMN tsad.v_attribution_step.step_at IS 'Time of that step, UTC.';
COMMENT ON COLUMN tsad.v_attribution_step.share IS 'Part of the whole error that this step of this channel carries, 0 to 1.';
COMMENT ON COLUMN tsad.v_attribution_step.model_id IS 'The model; see v_model.';
