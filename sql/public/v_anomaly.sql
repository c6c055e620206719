CREATE OR REPLACE VIEW tsad.v_anomaly AS
  SELECT d.name AS dataset, e.name AS entity, a.at, p.lineage, a.kind, a.severity, a.score, a.error, a.threshold,
         t.channel, t.share, t.actual, t.expected, t.unit, a.provisional, a.model_id, a.revision, a.known_from
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  LEFT JOIN LATERAL (
    SELECT c.name AS channel, c.unit, r.share, r.actual, r.expected
    FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
    WHERE r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
    ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
  WHERE a.superseded_at = 'infinity';

COMMENT ON VIEW tsad.v_anomaly IS 'Flagged readings with severity and the channel that carries most of the error.';
COMMENT ON COLUMN tsad.v_anomaly.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_anomaly.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_anomaly.at IS 'Time of the reading, UTC.';
COMMENT ON COLUMN tsad.v_anomaly.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_anomaly.kind IS 'point: one reading; collective: the moving average of errors.';
COMMENT ON COLUMN tsad.v_anomaly.severity IS 'LOW, MEDIUM or HIGH: score above 0, 0.5 or 1.';
COMMENT ON COLUMN tsad.v_anomaly.score IS '(error - threshold) / threshold: above 0 is a flag.';
COMMENT ON COLUMN tsad.v_anomaly.error IS 'What the detector could not explain.';
COMMENT ON COLUMN tsad.v_anomaly.threshold IS 'What the error had to exceed.';
COMMENT ON COLUMN tsad.v_anomaly.channel IS 'The sensor; in anomalies and incidents the one that carries most of the error.';
COMMENT ON COLUMN tsad.v_anomaly.share IS 'Part of the error that this channel carries, 0 to 1.';
COMMENT ON COLUMN tsad.v_anomaly.actual IS 'What was read.';
COMMENT ON COLUMN tsad.v_anomaly.expected IS 'What the detector expected.';
COMMENT ON COLUMN tsad.v_anomaly.unit IS 'Unit of actual, expected and spread.';
COMMENT ON COLUMN tsad.v_anomaly.provisional IS 'The entity had no scale of its own yet.';
COMMENT ON COLUMN tsad.v_anomaly.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_anomaly.revision IS 'How often this was written anew, after late or changed readings; 1 is the first.';
COMMENT ON COLUMN tsad.v_anomaly.known_from IS 'When this was written, not when it was read.';

GRANT SELECT ON tsad.v_anomaly TO tsad_writer, tsad_reader;
