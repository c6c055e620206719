CREATE OR REPLACE VIEW tsad.v_anomaly AS
  SELECT d.name AS dataset, e.name AS entity, a.at, p.lineage, a.kind, a.severity, a.score, a.error, a.threshold,
         c.name AS channel, r.share, r.actual, r.expected, c.unit, a.provisional, a.model_id, a.revision, a.known_from,
         CASE WHEN y.weekdays_seen[extract(isodow FROM a.at AT TIME ZONE d.site_zone)::int] < 3
              THEN to_char(a.at AT TIME ZONE d.site_zone, 'FMDay') END AS unknown_weekday,
         -- Beside the tables in FROM: only who asks for it pays.
         (SELECT string_agg(x.name, ', ' ORDER BY x.name) FROM tsad.score_block b JOIN tsad.channel x ON x.channel_id = ANY(b.outside)
          WHERE b.entity_id = a.entity_id AND b.hour_at = a.hour_at AND b.model_id = a.model_id AND b.superseded_at = 'infinity') AS outside_experience
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  -- One row each, as aggregate and keys tell: Postgres leaves out what nobody asks for.
  LEFT JOIN LATERAL (
    SELECT (array_agg(x.channel_id ORDER BY x.share DESC, x.channel_id))[1] AS channel_id
    FROM tsad.attribution x WHERE x.entity_id = a.entity_id AND x.at = a.at AND x.model_id = a.model_id) t ON true
  LEFT JOIN tsad.attribution r ON r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id AND r.channel_id = t.channel_id
  LEFT JOIN tsad.channel c ON c.channel_id = t.channel_id
  LEFT JOIN tsad.model y ON y.model_id = a.model_id AND y.is_young
  WHERE a.superseded_at = 'infinity';

COMMENT ON VIEW tsad.v_anomaly IS 'Flagged readings with severity and the channel that carries most of the error.';
COMMENT ON COLUMN tsad.v_anomaly.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_anomaly.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_anomaly.at IS 'Time of the reading, UTC.';
COMMENT ON COLUMN tsad.v_anomaly.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_anomaly.kind IS 'point: one reading; collective: the moving average of errors.';
COMMENT ON COLUMN tsad.v_anomaly.severity IS 'LOW, MEDIUM or HIGH: score above 0, 0.5 or 1.';
COMMENT ON COLUMN tsad.v_anomaly.score IS '(error - threshold) / threshold, or 1 where a channel that never moved in training does and that is more: above 0 is a flag.';
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
COMMENT ON COLUMN tsad.v_anomaly.unknown_weekday IS 'The weekday, where the young model that found it has seen it fewer than three times; NULL: it knows it.';
COMMENT ON COLUMN tsad.v_anomaly.outside_experience IS 'Setpoints, loads and ambient conditions that were outside of what training saw for half of the hour; NULL: none.';

GRANT SELECT ON tsad.v_anomaly TO tsad_writer, tsad_reader;
