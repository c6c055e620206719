-- What is watched week by week: whether readings and scores move away from what was trained on, and how models did.

CREATE TABLE tsad.drift (
  lineage       text NOT NULL,
  model_id      int NOT NULL REFERENCES tsad.model,
  entity_id     int NOT NULL REFERENCES tsad.entity,
  channel_id    int NOT NULL DEFAULT 0,
  week_at       timestamptz NOT NULL,
  psi           double precision,
  shift         double precision,
  missing_share double precision,
  n_steps       bigint NOT NULL,
  measured_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (model_id, lineage, entity_id, channel_id, week_at)
);
COMMENT ON TABLE tsad.drift IS 'How far readings of a week lie from those of the training range, and scores from those of the model''s first week.';
COMMENT ON COLUMN tsad.drift.channel_id IS '0: the scores of the entity.';

CREATE VIEW tsad.v_drift AS
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

CREATE TABLE tsad.audit (
  lineage                    text NOT NULL,
  model_id                   int NOT NULL REFERENCES tsad.model,
  week_at                    timestamptz NOT NULL,
  days                       double precision NOT NULL,
  n_known                    int NOT NULL,
  n_found                    int NOT NULL,
  n_incidents                int NOT NULL,
  n_right                    int NOT NULL,
  n_wrong                    int NOT NULL,
  median_delay_s             double precision,
  expected_incidents_per_day double precision,
  audited_at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (model_id, lineage, week_at)
);
COMMENT ON TABLE tsad.audit IS 'What each model did in a week, by labels and verdicts as they were when it was audited.';

CREATE VIEW tsad.v_audit AS
  SELECT d.name AS dataset, a.lineage, m.version, a.model_id, a.week_at, a.days, a.n_known, a.n_found,
         a.n_found::float8 / nullif(a.n_known, 0) AS recall, a.n_incidents, a.n_right, a.n_wrong,
         a.n_right::float8 / nullif(a.n_right + a.n_wrong, 0) AS precision, a.median_delay_s,
         a.n_wrong / nullif(a.days, 0) AS false_alarms_per_day, a.n_incidents / nullif(a.days, 0) AS incidents_per_day,
         a.expected_incidents_per_day, a.audited_at
  FROM tsad.audit a
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_audit IS 'How champions, and challengers in their shadow, did week by week. A champion''s own incidents are what people judge, so its recall is flattered.';
COMMENT ON COLUMN tsad.v_audit.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_audit.lineage IS 'live or replay: as champion; live/shadow or replay/shadow: as challenger.';
COMMENT ON COLUMN tsad.v_audit.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_audit.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_audit.week_at IS 'Monday, 00:00 UTC.';
COMMENT ON COLUMN tsad.v_audit.days IS 'Days that it scored in this week: hours with a score of any entity.';
COMMENT ON COLUMN tsad.v_audit.n_known IS 'Known anomalies that began in its hours: labels, and verdicts confirmed that no label overlaps.';
COMMENT ON COLUMN tsad.v_audit.n_found IS 'Known anomalies that one of its incidents overlaps.';
COMMENT ON COLUMN tsad.v_audit.recall IS 'n_found / n_known; NULL: none is known.';
COMMENT ON COLUMN tsad.v_audit.n_incidents IS 'Incidents that began in its hours, without those in maintenance windows.';
COMMENT ON COLUMN tsad.v_audit.n_right IS 'Incidents that overlap a known anomaly.';
COMMENT ON COLUMN tsad.v_audit.n_wrong IS 'Others whose last verdict is false_alarm, expected or new_normal; a sensor_fault is neither.';
COMMENT ON COLUMN tsad.v_audit.precision IS 'n_right / (n_right + n_wrong); NULL: nobody judged any.';
COMMENT ON COLUMN tsad.v_audit.median_delay_s IS 'From the beginning of a known anomaly to its first incident, seconds; below 0: it led.';
COMMENT ON COLUMN tsad.v_audit.false_alarms_per_day IS 'n_wrong / days: what people called so, no more.';
COMMENT ON COLUMN tsad.v_audit.incidents_per_day IS 'n_incidents / days.';
COMMENT ON COLUMN tsad.v_audit.expected_incidents_per_day IS 'What its limits were made for while nothing is wrong; NULL: a threshold without a budget, or an older model.';
COMMENT ON COLUMN tsad.v_audit.audited_at IS 'When this was counted.';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.drift, tsad.audit TO tsad_writer;
GRANT SELECT ON tsad.v_drift, tsad.v_audit TO tsad_writer, tsad_reader;
