CREATE OR REPLACE VIEW tsad.v_incident AS
  -- Few tables in FROM, and what only few ask for beside it: past join_collapse_limit (8) a join with another view is not reordered.
  SELECT i.incident_id, d.name AS dataset, e.name AS entity, i.lineage, i.severity, i.kind,
         CASE WHEN EXISTS (
           SELECT FROM tsad.score_block b
           WHERE b.entity_id = i.entity_id AND b.superseded_at = 'infinity' AND b.status IN ('scored', 'partial', 'unknown_entity_scale')
             AND b.thresholds IS NOT NULL AND b.hour_at > i.last_flag_at + make_interval(secs => d.merge_gap_s) - interval '1 hour')
              THEN 'closed' ELSE 'open' END AS state,
         i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at,
         (SELECT c.name FROM tsad.channel c WHERE c.channel_id = i.top_channel_id) AS channel, i.sentence,
         i.provisional, i.policy_version, i.model_id, i.updated_at,
         (SELECT v.verdict FROM tsad.verdict v
          WHERE v.entity_id = i.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
          ORDER BY v.verdict_id DESC LIMIT 1) AS verdict, i.suppressed_by, i.continues, i.unknown_weekdays, i.held,
         (SELECT string_agg(DISTINCT c.name, ', ' ORDER BY c.name) FROM tsad.score_block b JOIN tsad.channel c ON c.channel_id = ANY(b.outside)
          WHERE b.entity_id = i.entity_id AND b.model_id = i.model_id AND b.superseded_at = 'infinity'
            AND b.hour_at > i.started_at - interval '1 hour' AND b.hour_at <= i.last_flag_at) AS outside_experience,
         i.direction, i.group_id,
         array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity) + 1 - greatest(-1, least(1,
           array_position(ARRAY['low', 'normal', 'high'], e.criticality) - 2
           + coalesce((SELECT array_position(ARRAY['low', 'normal', 'high'], c.criticality) - 2
                       FROM tsad.channel c WHERE c.channel_id = i.top_channel_id), 0))) AS priority,
         i.last_flag_at + make_interval(secs => d.step_s) AS end_at
  FROM tsad.incident i
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.lineage IN ('live', 'replay');

COMMENT ON VIEW tsad.v_incident IS 'Merged runs of flags. open: nothing normal was scored for longer than the merge gap after the last flag.';
COMMENT ON COLUMN tsad.v_incident.incident_id IS 'Hash of entity, policy, lineage and first flagged time.';
COMMENT ON COLUMN tsad.v_incident.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_incident.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_incident.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_incident.severity IS 'LOW, MEDIUM or HIGH: score above 0, 0.5 or 1; HIGH only where the reading that the sentence tells is outside of what was expected.';
COMMENT ON COLUMN tsad.v_incident.kind IS 'point: one reading; collective: the moving average of errors.';
COMMENT ON COLUMN tsad.v_incident.state IS 'open: nothing normal was scored for longer than the merge gap after the last flag; else closed.';
COMMENT ON COLUMN tsad.v_incident.started_at IS 'First flag.';
COMMENT ON COLUMN tsad.v_incident.last_flag_at IS 'Last flag; the step that it begins belongs to the incident, see end_at.';
COMMENT ON COLUMN tsad.v_incident.n_flags IS 'Flagged readings.';
COMMENT ON COLUMN tsad.v_incident.peak_score IS 'Highest score.';
COMMENT ON COLUMN tsad.v_incident.peak_at IS 'When the score was highest.';
COMMENT ON COLUMN tsad.v_incident.channel IS 'The sensor; in anomalies and incidents the one that carries most of the error.';
COMMENT ON COLUMN tsad.v_incident.sentence IS 'The incident in words.';
COMMENT ON COLUMN tsad.v_incident.provisional IS 'The entity had no scale of its own yet, or a young model did not know the weekday.';
COMMENT ON COLUMN tsad.v_incident.policy_version IS 'Hash of the alarm policy that merged the flags.';
COMMENT ON COLUMN tsad.v_incident.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_incident.updated_at IS 'When this was last written.';
COMMENT ON COLUMN tsad.v_incident.verdict IS 'What a person said of it last: confirmed, expected, false_alarm, new_normal or sensor_fault; NULL: nothing yet.';
COMMENT ON COLUMN tsad.v_incident.suppressed_by IS 'The maintenance window that holds all of it, so that nobody is alerted; NULL: none.';
COMMENT ON COLUMN tsad.v_incident.continues IS 'The incident of which this is the next part, where one that lasts was cut; NULL: none.';
COMMENT ON COLUMN tsad.v_incident.unknown_weekdays IS 'Weekdays of its flags that the young model which raised them has seen fewer than three times; NULL: none.';
COMMENT ON COLUMN tsad.v_incident.held IS 'All of it lies on days of rest, or weekdays never seen, that a young model does not know: it is LOW, and nobody is told.';
COMMENT ON COLUMN tsad.v_incident.outside_experience IS 'Setpoints, loads and ambient conditions that were outside of what training saw in an hour of it: flags are LOW at most there; NULL: none.';
COMMENT ON COLUMN tsad.v_incident.direction IS 'rise or fall: which way the reading that the sentence tells left what was expected; NULL: it did not, or nobody knows.';
COMMENT ON COLUMN tsad.v_incident.group_id IS 'The group of incidents with which it began, see v_incident_group; NULL: it began alone or with one other machine.';
COMMENT ON COLUMN tsad.v_incident.priority IS '1 is the most urgent, 5 the least: HIGH is 2, MEDIUM 3, LOW 4; one less where much depends on its machine and channel, one more where little does, as the dataset file says by now.';
COMMENT ON COLUMN tsad.v_incident.end_at IS 'End of the step of its last flag, not included: what page, PDF, messages and command line show as its end; so far, where it is open.';

GRANT SELECT ON tsad.v_incident TO tsad_writer, tsad_reader;
