CREATE OR REPLACE VIEW tsad.v_verdict AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, v.start_at, v.end_at, v.verdict, v.said_by, v.note, v.said_at,
         v.withdrawn_at, v.incident_id, v.verdict_id,
         v.login, v.withdrawn_login
  FROM tsad.verdict v
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.channel c USING (channel_id);

COMMENT ON VIEW tsad.v_verdict IS 'Everything that people said of incidents. Say something: SELECT tsad.set_verdict(incident_id, verdict, said_by, note).';
COMMENT ON COLUMN tsad.v_verdict.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_verdict.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_verdict.channel IS 'The sensor that is meant; NULL: all of the entity.';
COMMENT ON COLUMN tsad.v_verdict.start_at IS 'Beginning, included.';
COMMENT ON COLUMN tsad.v_verdict.end_at IS 'End, not included.';
COMMENT ON COLUMN tsad.v_verdict.verdict IS 'confirmed, expected, false_alarm, new_normal or sensor_fault.';
COMMENT ON COLUMN tsad.v_verdict.said_by IS 'Who said so.';
COMMENT ON COLUMN tsad.v_verdict.note IS 'More in words.';
COMMENT ON COLUMN tsad.v_verdict.said_at IS 'When it was said.';
COMMENT ON COLUMN tsad.v_verdict.withdrawn_at IS 'When it was taken back; NULL: it holds.';
COMMENT ON COLUMN tsad.v_verdict.incident_id IS 'The incident that it was said of; another one may stand in its place by now. NULL: it was said of a range.';
COMMENT ON COLUMN tsad.v_verdict.verdict_id IS 'Number of the verdict; the highest that overlaps an incident counts.';
COMMENT ON COLUMN tsad.v_verdict.login IS 'The login of Postgres that said it, whatever name was given; NULL: before logins were kept.';
COMMENT ON COLUMN tsad.v_verdict.withdrawn_login IS 'The login that took it back.';

GRANT SELECT ON tsad.v_verdict TO tsad_writer, tsad_reader;
