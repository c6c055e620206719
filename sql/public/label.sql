CREATE OR REPLACE VIEW tsad.label AS
  SELECT label_id, entity_id, start_at, end_at, kind, origin, note FROM tsad.label_record WHERE withdrawn_at IS NULL;

COMMENT ON VIEW tsad.label IS 'The known anomalies that hold: what trainings leave out, and models are judged by.';

GRANT SELECT ON tsad.label TO tsad_writer, tsad_reader;
