CREATE OR REPLACE VIEW tsad.v_audit AS
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

GRANT SELECT ON tsad.v_audit TO tsad_writer, tsad_reader;
