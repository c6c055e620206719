CREATE OR REPLACE VIEW tsad.v_drift AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, x.lineage, m.version, x.model_id, x.week_at, x.psi,
         CASE WHEN x.psi > 0.25 THEN 'large' WHEN x.psi > 0.1 THEN 'slight' WHEN x.psi IS NOT NULL THEN 'none' END AS drift,
         x.shift, x.missing_share, x.n_steps, x.measured_at
  FROM tsad.drift x
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.entity e ON e.entity_id = x.entity_id
  LEFT JOIN tsad.channel c ON c.channel_id = x.channel_id;

COMMENT ON VIEW tsad.v_drift IS 'Drift by week. The trend of one channel: WHERE entity = … AND channel = … ORDER BY week_at.';
COMMENT ON COLUMN tsad.v_drift.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_drift.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_drift.channel IS 'The sensor; NULL: the scores of the entity.';
COMMENT ON COLUMN tsad.v_drift.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_drift.version IS 'Number of the champion within its dataset.';
COMMENT ON COLUMN tsad.v_drift.model_id IS 'The champion; see v_model.';
COMMENT ON COLUMN tsad.v_drift.week_at IS 'Monday, 00:00 UTC.';
COMMENT ON COLUMN tsad.v_drift.psi IS 'Population stability index over the tenths of the training range (scores: of the model''s first week); NULL: less than half a day of values.';
COMMENT ON COLUMN tsad.v_drift.drift IS 'none, slight (psi above 0.1) or large (above 0.25; Siddiqi, Credit risk scorecards, 2006).';
COMMENT ON COLUMN tsad.v_drift.shift IS 'Median of the week minus that of the reference, in its spreads (range of the middle 80 % as a standard deviation).';
COMMENT ON COLUMN tsad.v_drift.missing_share IS 'Share of steps without a value.';
COMMENT ON COLUMN tsad.v_drift.n_steps IS 'Steps with a value.';
COMMENT ON COLUMN tsad.v_drift.measured_at IS 'When this was computed.';

GRANT SELECT ON tsad.v_drift TO tsad_writer, tsad_reader;
