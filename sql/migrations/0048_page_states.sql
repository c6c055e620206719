-- The page computes what a model expected of an incident from the last state before it, not from the end of training.
GRANT SELECT ON tsad.fold_state TO tsad_operator;
