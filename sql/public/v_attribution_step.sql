CREATE OR REPLACE VIEW tsad.v_attribution_step AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, s.step::int AS step,
         r.at - make_interval(secs => (cardinality(r.step_shares) - s.step) * d.step_s) AS step_at, s.share, r.model_id, p.lineage
  FROM tsad.attribution r
  CROSS JOIN LATERAL unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  JOIN tsad.champion_period p ON p.model_id = r.model_id AND r.at >= p.valid_from AND r.at < p.valid_to
    AND p.lineage IN ('live', 'replay');

COMMENT ON VIEW tsad.v_attribution_step IS 'Which steps of which channels made a flagged reading strange: a row per step of its window.';
COMMENT ON COLUMN tsad.v_attribution_step.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_attribution_step.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_attribution_step.at IS 'Time of the flagged reading, UTC.';
COMMENT ON COLUMN tsad.v_attribution_step.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_attribution_step.unit IS 'Unit of the channel.';
COMMENT ON COLUMN tsad.v_attribution_step.step IS 'Place in the window: 1 is the oldest, the last one is the flagged reading itself.';
COMMENT ON COLUMN tsad.v_attribution_step.step_at IS 'Time of that step, UTC.';
COMMENT ON COLUMN tsad.v_attribution_step.share IS 'Part of the whole error that this step of this channel carries, 0 to 1.';
COMMENT ON COLUMN tsad.v_attribution_step.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_attribution_step.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';

GRANT SELECT ON tsad.v_attribution_step TO tsad_writer, tsad_reader;
