CREATE OR REPLACE VIEW tsad.v_incident_chain AS
  SELECT i.incident_id, i.dataset, i.entity, i.lineage, c.severity, i.kind, l.state, i.started_at, c.last_flag_at, c.n_parts, c.n_flags,
         c.peak_score, c.peak_at, i.channel, i.sentence, i.direction, i.verdict, i.suppressed_by, i.held, i.group_id, c.last_incident_id, i.model_id,
         -- Beside the tables in FROM: only who asks for them pays for them. Without LIMIT, which would choose the index by number.
         (SELECT (array_agg(x.taken_by ORDER BY x.triage_id DESC))[1] FROM tsad.triage x
          WHERE x.entity_id = c.entity_id AND x.start_at <= c.last_flag_at AND x.end_at > i.started_at) AS taken_by,
         (SELECT (array_agg(x.snoozed_until ORDER BY x.triage_id DESC))[1] FROM tsad.triage x
          WHERE x.entity_id = c.entity_id AND x.start_at <= c.last_flag_at AND x.end_at > i.started_at) AS snoozed_until,
         i.priority + array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], c.severity)
           - array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity) AS priority,
         c.last_flag_at + (i.end_at - i.last_flag_at) AS end_at
  FROM tsad.v_incident i
  CROSS JOIN LATERAL (
    WITH RECURSIVE part AS (
      SELECT f.incident_id, f.entity_id, f.last_flag_at, f.n_flags, f.severity, f.peak_score, f.peak_at, f.started_at FROM tsad.incident f WHERE f.incident_id = i.incident_id
      UNION ALL
      SELECT n.incident_id, n.entity_id, n.last_flag_at, n.n_flags, n.severity, n.peak_score, n.peak_at, n.started_at
      FROM part p JOIN tsad.incident n ON n.continues = p.incident_id
      WHERE n.superseded_by IS NULL AND n.withdrawn_at IS NULL)
    SELECT min(p.entity_id) AS entity_id, max(p.last_flag_at) AS last_flag_at, count(*)::int AS n_parts, sum(p.n_flags)::int AS n_flags, max(p.peak_score) AS peak_score,
           (array_agg(p.peak_at ORDER BY p.peak_score DESC, p.peak_at))[1] AS peak_at,
           (array_agg(p.severity ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], p.severity)))[1] AS severity,
           (array_agg(p.incident_id ORDER BY p.started_at DESC))[1] AS last_incident_id
    FROM part p) c
  CROSS JOIN LATERAL (SELECT v.state FROM tsad.v_incident v WHERE v.incident_id = c.last_incident_id) l
  WHERE NOT EXISTS (
    SELECT FROM tsad.incident f WHERE f.incident_id = i.continues AND f.superseded_by IS NULL AND f.withdrawn_at IS NULL);

COMMENT ON VIEW tsad.v_incident_chain IS 'Incidents as people count them: one that lasts longer than alarm_policy.max_length is cut in parts (v_incident.continues), and is one row here.';
COMMENT ON COLUMN tsad.v_incident_chain.incident_id IS 'The first part, see v_incident.';
COMMENT ON COLUMN tsad.v_incident_chain.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_incident_chain.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_incident_chain.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_incident_chain.severity IS 'The worst of its parts: LOW, MEDIUM or HIGH.';
COMMENT ON COLUMN tsad.v_incident_chain.kind IS 'Of the first part: point, one reading; collective, the moving average of errors.';
COMMENT ON COLUMN tsad.v_incident_chain.state IS 'Of the last part: open or closed.';
COMMENT ON COLUMN tsad.v_incident_chain.started_at IS 'First flag.';
COMMENT ON COLUMN tsad.v_incident_chain.last_flag_at IS 'Last flag of the last part.';
COMMENT ON COLUMN tsad.v_incident_chain.n_parts IS 'Incidents of which it consists; 1: it was never cut.';
COMMENT ON COLUMN tsad.v_incident_chain.n_flags IS 'Flagged readings of all parts.';
COMMENT ON COLUMN tsad.v_incident_chain.peak_score IS 'Highest score of all parts.';
COMMENT ON COLUMN tsad.v_incident_chain.peak_at IS 'When the score was highest.';
COMMENT ON COLUMN tsad.v_incident_chain.channel IS 'The sensor that carries most of the error of the first part.';
COMMENT ON COLUMN tsad.v_incident_chain.sentence IS 'The first part in words.';
COMMENT ON COLUMN tsad.v_incident_chain.direction IS 'rise or fall, of the first part; NULL: neither, or nobody knows.';
COMMENT ON COLUMN tsad.v_incident_chain.verdict IS 'What a person said of the first part last; NULL: nothing yet.';
COMMENT ON COLUMN tsad.v_incident_chain.suppressed_by IS 'The maintenance window that holds all of the first part; NULL: none.';
COMMENT ON COLUMN tsad.v_incident_chain.held IS 'All of the first part lies on days that a young model does not know.';
COMMENT ON COLUMN tsad.v_incident_chain.group_id IS 'The group of incidents with which it began, see v_incident_group; NULL: it began alone or with one other machine.';
COMMENT ON COLUMN tsad.v_incident_chain.last_incident_id IS 'The last part.';
COMMENT ON COLUMN tsad.v_incident_chain.model_id IS 'The model of the first part; see v_model.';
COMMENT ON COLUMN tsad.v_incident_chain.taken_by IS 'Who has it in hand; NULL: nobody.';
COMMENT ON COLUMN tsad.v_incident_chain.snoozed_until IS 'The page lists it as waiting until then; NULL: it is not snoozed.';
COMMENT ON COLUMN tsad.v_incident_chain.priority IS '1 is the most urgent, 5 the least, by the worst of its parts and the channel of the first; see v_incident.';
COMMENT ON COLUMN tsad.v_incident_chain.end_at IS 'End of the step of the last flag of the last part, not included; so far, where it is open.';

GRANT SELECT ON tsad.v_incident_chain TO tsad_writer, tsad_reader;
