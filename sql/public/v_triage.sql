CREATE OR REPLACE VIEW tsad.v_triage AS
  SELECT d.name AS dataset, e.name AS entity, t.incident_id, t.start_at, t.end_at, t.taken_by, t.snoozed_until, t.said_by, t.said_at,
         t.triage_id, t.login
  FROM tsad.triage t
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_triage IS 'Who has an incident in hand, and until when it is snoozed: everything that was said; the highest triage_id that overlaps an incident counts.';
COMMENT ON COLUMN tsad.v_triage.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_triage.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_triage.incident_id IS 'The incident that it was said of; another one may stand in its place by now.';
COMMENT ON COLUMN tsad.v_triage.start_at IS 'Beginning, included.';
COMMENT ON COLUMN tsad.v_triage.end_at IS 'End, not included.';
COMMENT ON COLUMN tsad.v_triage.taken_by IS 'Who has it in hand; NULL: nobody.';
COMMENT ON COLUMN tsad.v_triage.snoozed_until IS 'The page lists it as waiting until then; NULL: it is not snoozed.';
COMMENT ON COLUMN tsad.v_triage.said_by IS 'Who said so.';
COMMENT ON COLUMN tsad.v_triage.said_at IS 'When it was said.';
COMMENT ON COLUMN tsad.v_triage.triage_id IS 'Number of what was said.';
COMMENT ON COLUMN tsad.v_triage.login IS 'The login of Postgres that said it, whatever name was given; NULL: before logins were kept.';

GRANT SELECT ON tsad.v_triage TO tsad_writer, tsad_reader;
