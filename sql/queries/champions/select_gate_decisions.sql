-- The rules of one stage for one model.
SELECT rule, value, limit_value, champion_value, passed, note, low, high FROM tsad.gate_decision
WHERE model_id = %(model_id)s AND stage = %(stage)s ORDER BY rule
