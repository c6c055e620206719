-- The gate's verdict on a model; one that passed stays so. The bundle of one that passes now was made again, if it was pruned.
UPDATE tsad.model SET gate_passed = %(gate_passed)s,
  pruned_at = CASE WHEN NOT %(gate_passed)s THEN pruned_at END, pruned_because = CASE WHEN NOT %(gate_passed)s THEN pruned_because END
WHERE model_id = %(model_id)s AND gate_passed IS NOT TRUE
