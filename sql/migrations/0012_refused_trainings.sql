-- A training whose model the gate refused may be done again: another bundle of it is a model of its own.

DO $$
DECLARE
  former text;
BEGIN
  SELECT conname INTO STRICT former FROM pg_constraint
  WHERE conrelid = 'tsad.model'::regclass AND contype = 'u' AND array_length(conkey, 1) = 7;
  EXECUTE format('ALTER TABLE tsad.model DROP CONSTRAINT %I', former);
END $$;
CREATE UNIQUE INDEX model_one_not_refused ON tsad.model
  (dataset_id, scope_entity_id, lineage, train_start_at, train_end_at, config_hash, seed) WHERE gate_passed IS NOT FALSE;
CREATE UNIQUE INDEX model_one_row_of_a_bundle ON tsad.model
  (dataset_id, scope_entity_id, lineage, train_start_at, train_end_at, config_hash, seed, sha256);
COMMENT ON TABLE tsad.model IS
  'Every model ever trained, champion or not. A training is done once; one that the gate refused may be done again, and the same bundle again is the same row.';
COMMENT ON TABLE tsad.gate_decision IS
  'Each rule of the gate, and of the shadow after it: its numbers and its outcome. Of a model that was refused and judged again, the gate''s newest ones; model_decision has all outcomes.';
