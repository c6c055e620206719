CREATE OR REPLACE VIEW tsad.v_label AS
  SELECT d.name AS dataset, e.name AS entity, l.start_at, l.end_at, l.kind, l.origin, l.note, l.label_id, l.withdrawn_at, l.withdrawn_by,
         l.login, l.withdrawn_login
  FROM tsad.label_record l
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id);

COMMENT ON VIEW tsad.v_label IS 'Known anomalies, and those that were taken back. Add one: SELECT tsad.add_label(dataset, entity, start_at, end_at, kind, note).';
COMMENT ON COLUMN tsad.v_label.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_label.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_label.start_at IS 'Beginning, included.';
COMMENT ON COLUMN tsad.v_label.end_at IS 'End, not included.';
COMMENT ON COLUMN tsad.v_label.kind IS 'Kind of anomaly.';
COMMENT ON COLUMN tsad.v_label.origin IS 'Where it comes from: person, file or source.';
COMMENT ON COLUMN tsad.v_label.note IS 'More in words.';
COMMENT ON COLUMN tsad.v_label.label_id IS 'Number of the label.';
COMMENT ON COLUMN tsad.v_label.withdrawn_at IS 'When it was taken back; NULL: it holds.';
COMMENT ON COLUMN tsad.v_label.withdrawn_by IS 'Who took it back.';
COMMENT ON COLUMN tsad.v_label.login IS 'The login of Postgres that said it, whatever name was given; NULL: before logins were kept.';
COMMENT ON COLUMN tsad.v_label.withdrawn_login IS 'The login that took it back.';

GRANT SELECT ON tsad.v_label TO tsad_writer, tsad_reader;
