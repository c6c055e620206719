CREATE OR REPLACE VIEW tsad.v_attribution AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, r.share, r.actual, r.expected, r.spread, r.model_id,
         -- Beside the tables in FROM: these are few enough to be joined with v_incident in any order (join_collapse_limit).
         (SELECT s.step::int FROM unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
          ORDER BY s.share DESC, s.step DESC LIMIT 1) AS step,
         (SELECT s.share FROM unnest(r.step_shares) AS s (share) ORDER BY s.share DESC LIMIT 1) AS step_share, p.lineage
  FROM tsad.attribution r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  JOIN tsad.champion_period p ON p.model_id = r.model_id AND r.at >= p.valid_from AND r.at < p.valid_to
    AND p.lineage IN ('live', 'replay');

COMMENT ON VIEW tsad.v_attribution IS 'Share of each channel in the error of a flagged reading, with what was expected.';
COMMENT ON COLUMN tsad.v_attribution.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_attribution.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_attribution.at IS 'Time of the reading, UTC.';
COMMENT ON COLUMN tsad.v_attribution.channel IS 'The sensor; in anomalies and incidents the one that carries most of the error.';
COMMENT ON COLUMN tsad.v_attribution.unit IS 'Unit of actual, expected and spread.';
COMMENT ON COLUMN tsad.v_attribution.share IS 'Part of the error that this channel carries, 0 to 1.';
COMMENT ON COLUMN tsad.v_attribution.actual IS 'What was read.';
COMMENT ON COLUMN tsad.v_attribution.expected IS 'What the detector expected.';
COMMENT ON COLUMN tsad.v_attribution.spread IS 'What is usual as a difference between actual and expected; NULL: the channel never moved in training, where it was at expected.';
COMMENT ON COLUMN tsad.v_attribution.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_attribution.step IS 'The step of the window that carries most of the channel''s error: 1 is the oldest, the last one is the flagged reading itself.';
COMMENT ON COLUMN tsad.v_attribution.step_share IS 'Share of that step and channel in the whole error.';
COMMENT ON COLUMN tsad.v_attribution.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';

GRANT SELECT ON tsad.v_attribution TO tsad_writer, tsad_reader;
