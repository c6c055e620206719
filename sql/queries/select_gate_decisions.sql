-- The gate's rules for one model.
SELECT rule, value, limit_value, champion_value, passed, note, decided_at FROM tsad.gate_decision
WHERE model_id = %(model_id)s ORDER BY rule
