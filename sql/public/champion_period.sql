CREATE OR REPLACE VIEW tsad.champion_period AS
  SELECT lineage, dataset_id, scope_entity_id, model_id, valid_from, valid_to, decided_at, reason, recorded_at
  FROM tsad.champion_record WHERE replaced_at = 'infinity';

COMMENT ON VIEW tsad.champion_period IS 'The champion records that hold. Periods of a lineage and scope never overlap. The pipeline''s own: its valid_to is infinity where v_model has NULL.';

GRANT SELECT ON tsad.champion_period TO tsad_writer, tsad_reader;
